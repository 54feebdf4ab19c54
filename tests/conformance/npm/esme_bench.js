// The npm package `smpp` as a client under measurement. Usage: node esme_bench.js PORT COUNT WINDOW [receipts]
// Binds as transceiver, submits COUNT segments with at most WINDOW open, acknowledges the receipts, and writes one JSON
// line: CPU (user + system) and wall seconds from the first submit to the last answer and receipt.
"use strict";
const smpp = require("smpp");

const [port, count, window] = process.argv.slice(2, 5).map(Number);
const receipts = process.argv[5] === "receipts";
const fields = {
  source_addr: "12345",
  dest_addr_ton: 1,
  dest_addr_npi: 1,
  destination_addr: "525512345678",
  registered_delivery: receipts ? 1 : 0,
  short_message: "Su codigo es 123456. No lo comparta con nadie.",
};
let toSend = count;
let answersMissing = count;
let receiptsMissing = receipts ? count : 0;
let refused = 0;
let cpu, started;

const session = smpp.connect({ host: "127.0.0.1", port }, () => {
  session.bind_transceiver({ system_id: "caudal", password: "secret", interface_version: 0x34 }, () => {
    cpu = process.cpuUsage();
    started = process.hrtime.bigint();
    for (let slot = 0; slot < window; slot += 1) submit();
  });
});
session.on("error", (error) => {
  process.stderr.write(error.message + "\n");
  process.exit(1);
});
session.on("deliver_sm", (pdu) => {
  session.send(pdu.response());
  receiptsMissing -= 1;
  look();
});

function submit() {
  if (toSend === 0) return;
  toSend -= 1;
  session.submit_sm({ ...fields }, (pdu) => {
    if (pdu.command_status !== 0) refused += 1;
    answersMissing -= 1;
    submit();
    look();
  });
}

function look() {
  if (answersMissing > 0 || receiptsMissing > 0) return;
  const used = process.cpuUsage(cpu);
  const wall_s = Number(process.hrtime.bigint() - started) / 1e9;
  process.stdout.write(JSON.stringify({ cpu_s: (used.user + used.system) / 1e6, wall_s, refused }) + "\n", () => process.exit(0));
}
