package eventlog_test

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"sync"
)

// losing loses the first message that satisfies lost, which is shown the line
// of the NATS protocol that comes before a message.
func losing(lost func(line string) bool) func(io.Writer, io.Reader) error {
	var once sync.Once
	return func(client io.Writer, broker io.Reader) error {
		in := bufio.NewReader(broker)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return err
			}
			var payload []byte
			if verb, _, _ := strings.Cut(line, " "); verb == "MSG" || verb == "HMSG" {
				fields := strings.Fields(line)
				var size int
				if _, err := fmt.Sscan(fields[len(fields)-1], &size); err != nil {
					return err
				}
				payload = make([]byte, size+len("\r\n"))
				if _, err := io.ReadFull(in, payload); err != nil {
					return err
				}
			}
			keep := true
			if lost(line) {
				once.Do(func() { keep = false })
			}
			if !keep {
				continue
			}
			if _, err := client.Write(append([]byte(line), payload...)); err != nil {
				return err
			}
		}
	}
}
