-- Whom a message's account is told through, and what the SMPP server needs to answer an ESME (F21).
ALTER TABLE messages ADD COLUMN webhook_id text, ADD COLUMN origin text;
