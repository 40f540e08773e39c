package ticket

import (
	"encoding/json"
	"fmt"
	"os"

	"countersign/internal/private"
)

// rewrite changes the file by edit, while no other process does. What edit does
// not change stays.
func rewrite(path string, edit func(kinds map[string]json.RawMessage) error) error {
	if _, err := os.Stat(path); err != nil {
		return err // before the lock, so that no lock file is left
	}
	unlock, err := private.Lock(path + ".lock") // a file of its own, because the keys file is replaced
	if err != nil {
		return err
	}
	defer unlock()
	data, err := private.Read(path, maxFileLen)
	if err != nil {
		return err
	}
	var kinds map[string]json.RawMessage
	if err := json.Unmarshal(data, &kinds); err != nil {
		return fmt.Errorf("the file is damaged: %w", err)
	}
	if err := edit(kinds); err != nil {
		return err
	}
	fresh, err := json.MarshalIndent(kinds, "", "  ")
	if err != nil {
		return err
	}
	return private.Replace(path, append(fresh, '\n'))
}
