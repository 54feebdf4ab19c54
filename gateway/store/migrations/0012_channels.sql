-- One message, several channels: which it may try, where it stands, and what people have asked for.

-- How many channels were left to try after the one that this submit was made for: names the step, 0 for most messages.
ALTER TABLE submissions ADD COLUMN steps_left smallint NOT NULL DEFAULT 0;

-- The channels in order, with first carrier and price of a segment; NULL: there is only one. `channel` follows the step.
ALTER TABLE messages ADD COLUMN channels jsonb;

-- One row for each channel that a message was tried on while others were left. Owned by gateway.channels.
CREATE TABLE channel_steps (
    message_id uuid NOT NULL,
    steps_left smallint NOT NULL,
    state text NOT NULL,                -- waiting, failed, passed (came far enough), done
    due_at bigint,                      -- when to look at it; NULL: when something is told
    failed_as text,                     -- the state that the message ends in when no channel is left
    reason text NOT NULL DEFAULT '',
    value bytea,                        -- the message, as dispatch had it; NULL before that is told, and once it is done
    expires_at bigint NOT NULL,
    PRIMARY KEY (message_id, steps_left)
)
WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

CREATE INDEX channel_steps_due ON channel_steps (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX channel_steps_expiry ON channel_steps (expires_at);

-- Who does not want to be written to. `*` stands for every channel, or every sender.
CREATE TABLE optouts (
    account_id text NOT NULL REFERENCES accounts (id),
    recipient text NOT NULL,            -- E.164 without plus
    channel text NOT NULL,
    sender text NOT NULL,
    source text NOT NULL,               -- api, import, cli, or the reply that asked for it
    at bigint NOT NULL,
    PRIMARY KEY (account_id, recipient, channel, sender)
);

-- The channels that a person may be written to on, best first.
CREATE TABLE channel_preferences (
    account_id text NOT NULL REFERENCES accounts (id),
    recipient text NOT NULL,
    channels text[] NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (account_id, recipient)
);

-- True: one-time passwords go out although the person opted out.
ALTER TABLE accounts ADD COLUMN otp_despite_opt_out boolean NOT NULL DEFAULT false;
