-- The messages that were sampled, and their traces. One row for each, written once with the message. Apart from the
-- messages, because hardly any of them has one, and in one piece, because a look-up then is one descent of one index.
CREATE TABLE message_traces (
    message_id uuid PRIMARY KEY,
    trace_id uuid NOT NULL              -- the 16 octets of a W3C trace id
);
