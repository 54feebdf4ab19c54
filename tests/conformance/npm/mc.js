// A message centre by the npm package `smpp`: answers binds and submits, sends a receipt for each that asks, and
// writes what it hears as JSON lines. First line: {"event": "listening", "port": N}. Ends on SIGTERM, or when its
// standard input ends. Orders come on standard input, one JSON object a line:
//   {"do": "throttle", "count": 3}          answer the next submits with ESME_RTHROTTLED
//   {"do": "refuse", "status": 0x45, "count": 1}
//   {"do": "receipts", "style": "text" | "tlv" | "none"}
//   {"do": "alphabet", "name": "ASCII" | "LATIN1"}     what data_coding 0 means (ASCII is GSM 7-bit in this package)
//   {"do": "nack", "count": 1}              answer the next submits with generic_nack
//   {"do": "enquire_link"}, {"do": "unbind"}           to every session
//   {"do": "mo", "text": "..."}             a message of a handset, to every receiver
"use strict";
const smpp = require("smpp");
const readline = require("readline");

const password = process.argv[2] || "demo";
const receiptDelayMs = Number(process.argv[3] || "20");
let nextId = 1;
let refusals = [];
let nacks = 0;
let receiptStyle = "text";
const sessions = new Set();
const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");

const server = smpp.createServer((session) => {
  sessions.add(session);
  session.on("error", () => session.close());
  session.on("close", () => {
    sessions.delete(session);
    say({ event: "close" });
  });
  const onBind = (pdu) => {
    if (pdu.password !== password) {
      session.send(pdu.response({ command_status: smpp.ESME_RINVPASWD }));
      say({ event: "bad_password" });
      return;
    }
    session.mode = pdu.command;
    say({ event: "bind", command: pdu.command, system_id: pdu.system_id, version: pdu.interface_version });
    session.send(pdu.response({ system_id: "npm" }));
  };
  session.on("bind_transceiver", onBind);
  session.on("bind_transmitter", onBind);
  session.on("bind_receiver", onBind);
  session.on("enquire_link", (pdu) => {
    say({ event: "enquire_link" });
    session.send(pdu.response());
  });
  session.on("unbind", (pdu) => {
    say({ event: "unbind" });
    session.send(pdu.response());
  });
  session.on("submit_sm", (pdu) => onSubmit(session, pdu));
});

function onSubmit(session, pdu) {
  if (nacks > 0) {
    nacks -= 1;
    session.send(new smpp.PDU("generic_nack", { sequence_number: pdu.sequence_number, command_status: 3 }));
    return;
  }
  if (refusals.length > 0) {
    const status = refusals.shift();
    session.send(pdu.response({ command_status: status }));
    say({ event: "refused", status });
    return;
  }
  const id = (nextId++).toString(16).padStart(8, "0");
  const payload = pdu.message_payload;
  say({
    event: "submit_sm",
    id,
    source: pdu.source_addr,
    source_ton: pdu.source_addr_ton,
    destination: pdu.destination_addr,
    data_coding: pdu.data_coding,
    esm_class: pdu.esm_class,
    registered_delivery: pdu.registered_delivery,
    replace_if_present: pdu.replace_if_present_flag,
    text: pdu.short_message.message,
    udh: (pdu.short_message.udh || []).map((ie) => Buffer.from(ie).toString("hex")),
    sar: pdu.sar_total_segments && [pdu.sar_msg_ref_num, pdu.sar_total_segments, pdu.sar_segment_seqnum],
    payload: payload === undefined ? null : payload.message === undefined ? payload : payload.message,
  });
  session.send(pdu.response({ message_id: id }));
  if (pdu.registered_delivery & 1 && receiptStyle !== "none") {
    setTimeout(() => receipt(session, pdu, id), receiptDelayMs);
  }
}

// A receipt goes to the session itself, or to any receiver when that one only transmits.
function receipt(submitter, submit, id) {
  let session = submitter;
  if (session.mode === "bind_transmitter") {
    session = [...sessions].find((other) => other.mode === "bind_receiver") || session;
  }
  const now = new Date().toISOString().replace(/[-T:]/g, "").slice(2, 12);
  const fields = { source_addr: submit.destination_addr, destination_addr: submit.source_addr, esm_class: 4 };
  if (receiptStyle === "tlv") {
    fields.receipted_message_id = id;
    fields.message_state = 2;
    fields.network_error_code = Buffer.from([3, 0, 0]);
    fields.short_message = "";
  } else {
    fields.short_message = `id:${id} sub:001 dlvrd:001 submit date:${now} done date:${now} stat:DELIVRD err:000 text:`;
  }
  session.deliver_sm(fields, (answer) =>
    say({ event: "receipt_acknowledged", id, over: session.mode, command_status: answer.command_status }),
  );
}

const orders = {
  caught_up: () => undefined,
  throttle: (order) => (refusals = Array(order.count).fill(smpp.ESME_RTHROTTLED)),
  refuse: (order) => (refusals = Array(order.count || 1).fill(order.status)),
  nack: (order) => (nacks = order.count || 1),
  receipts: (order) => (receiptStyle = order.style),
  alphabet: (order) => (smpp.encodings.default = order.name),
  enquire_link: () => sessions.forEach((one) => one.enquire_link(() => say({ event: "enquire_link_resp" }))),
  unbind: () =>
    sessions.forEach((one) =>
      one.unbind(() => {
        say({ event: "unbind_resp" });
        one.close();
      }),
    ),
  mo: (order) =>
    sessions.forEach((one) => {
      if (one.mode === "bind_transmitter") return;
      const fields = { source_addr: "525512345678", destination_addr: "12345", short_message: order.text };
      one.deliver_sm({ ...fields, data_coding: order.data_coding || 0 }, (answer) =>
        say({ event: "mo_acknowledged", command_status: answer.command_status }),
      );
    }),
};

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const order = JSON.parse(line);
    orders[order.do](order);
    say({ event: "done", do: order.do });
  })
  .on("close", () => process.exit(0));

server.listen(0, "127.0.0.1", () => say({ event: "listening", port: server.address().port }));
process.on("SIGTERM", () => process.exit(0));
