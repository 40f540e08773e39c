-- +goose Up
-- Documents that were erased, and stay so.
CREATE TABLE erased (
  document_sid TEXT    PRIMARY KEY,
  account_sid  TEXT    NOT NULL,
  status       TEXT    NOT NULL, -- where it stood
  sequence     INTEGER NOT NULL  -- of its last erased event; beyond the position, where the log has a hole already
) STRICT, WITHOUT ROWID;

-- What erased documents had stood in the way of, for entries that are not
-- folded yet. Mostly empty.
CREATE TABLE blocked (
  sequence     INTEGER PRIMARY KEY, -- of the entry that was refused
  order_sid    TEXT    NOT NULL,
  document_sid TEXT    NOT NULL     -- the erased one
) STRICT;
