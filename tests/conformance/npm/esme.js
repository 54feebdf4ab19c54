// An ESME by the npm package `smpp`. Usage: node esme.js PORT. It writes what it hears as JSON lines and takes orders
// on standard input, one JSON object a line:
//   {"do": "connect", "bind": "transceiver", "system_id": "caudal", "password": "secret"}
//   {"do": "submit", "tag": 1, "fields": {...}, "udh_hex": "050003..", "text_hex": ".."}   the octets replace short_message
//   {"do": "flood", "count": 1000, "fields": {...}}      all at once; one line when every answer is there
//   {"do": "enquire_link"}, {"do": "unbind"}, {"do": "refuse_receipts", "count": 1}
// First line: {"event": "ready"}. Ends on SIGTERM, or when its standard input ends.
"use strict";
const smpp = require("smpp");
const readline = require("readline");

const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
let session = null;
let refusals = 0;

function connect(order) {
  session = smpp.connect({ host: "127.0.0.1", port: Number(process.argv[2]) }, () => {
    const bind = { system_id: order.system_id, password: order.password, interface_version: 0x34 };
    session[`bind_${order.bind}`](bind, (pdu) =>
      say({ event: "bind_resp", status: pdu.command_status, system_id: pdu.system_id }),
    );
  });
  session.on("error", (error) => say({ event: "error", detail: error.message }));
  session.on("close", () => say({ event: "close" }));
  session.on("enquire_link", (pdu) => {
    session.send(pdu.response());
    say({ event: "enquire_link" });
  });
  session.on("unbind", (pdu) => {
    say({ event: "unbind" });
    session.send(pdu.response());
    session.close();
  });
  session.on("deliver_sm", (pdu) => {
    const status = refusals > 0 ? smpp.ESME_RX_T_APPN : 0;
    refusals -= status ? 1 : 0;
    session.send(pdu.response({ command_status: status }));
    say({
      event: "deliver_sm",
      status,
      esm_class: pdu.esm_class,
      source: pdu.source_addr,
      destination: pdu.destination_addr,
      text: pdu.short_message.message,
      receipted_message_id: pdu.receipted_message_id,
      message_state: pdu.message_state,
    });
  });
}

function submit(order) {
  const fields = { ...order.fields };
  if (order.text_hex !== undefined) fields.short_message = Buffer.from(order.text_hex, "hex");
  if (order.udh_hex !== undefined) {
    fields.short_message = { udh: Buffer.from(order.udh_hex, "hex"), message: fields.short_message };
  }
  session.submit_sm(fields, (pdu) =>
    say({ event: "submit_sm_resp", tag: order.tag, status: pdu.command_status, message_id: pdu.message_id }),
  );
}

function flood(order) {
  const ids = new Set();
  const statuses = {};
  let answered = 0;
  for (let number = 0; number < order.count; number += 1) {
    session.submit_sm({ ...order.fields }, (pdu) => {
      answered += 1;
      ids.add(pdu.message_id);
      statuses[pdu.command_status] = (statuses[pdu.command_status] || 0) + 1;
      if (answered === order.count) say({ event: "flooded", distinct_ids: ids.size, statuses });
    });
  }
}

const orders = {
  caught_up: () => say({ event: "done", do: "caught_up" }),
  connect,
  submit,
  flood,
  enquire_link: () => session.enquire_link((pdu) => say({ event: "enquire_link_resp", status: pdu.command_status })),
  unbind: () => session.unbind((pdu) => say({ event: "unbind_resp", status: pdu.command_status })),
  refuse_receipts: (order) => (refusals = order.count),
};

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const order = JSON.parse(line);
    orders[order.do](order);
  })
  .on("close", () => process.exit(0));

say({ event: "ready" });
process.on("SIGTERM", () => process.exit(0));
