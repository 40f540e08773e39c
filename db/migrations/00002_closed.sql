-- +goose Up
-- Events that were turned down and are done with.
CREATE TABLE closed (
  sequence    INTEGER PRIMARY KEY, -- of the event that was turned down
  by_sequence INTEGER NOT NULL,    -- the entry that was sent in its place, or that discards it
  reason      TEXT    NOT NULL,    -- why it was discarded; empty where it was sent again
  at_ms       INTEGER NOT NULL
) STRICT;
