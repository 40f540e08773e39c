package mail

import (
	"bytes"
	"io"
	"syscall"
	"testing"
	"time"

	"countersign/workflow"
)

// BenchmarkWrite writes emails, from the recipient's address to the last byte: in
// pieces as the pool does, and with html/template and go-mail as the oracle does.
func BenchmarkWrite(b *testing.B) {
	settings := plainSettings(plainLink)
	settings.From = "Hosting Team <loa@countersign.example>"
	for _, kind := range []workflow.MailKind{workflow.MailSignature, workflow.MailSigned} {
		d := aDocument(2)
		message := Message{Mail: anEmail(kind, d, "owner@example.com")}
		b.Run(string(kind)+"/pieces", func(b *testing.B) {
			c := testComposer(b, settings)
			defer reportCPU(b)()
			b.ReportAllocs()
			for b.Loop() {
				to, err := recipient(message.Mail.Recipient)
				if err != nil {
					b.Fatal(err)
				}
				out, err := c.write(message, to)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Discard.Write(out.content); err != nil {
					b.Fatal(err)
				}
				out.release()
			}
		})
		b.Run(string(kind)+"/templates", func(b *testing.B) {
			c := testComposer(b, settings)
			var out bytes.Buffer
			defer reportCPU(b)()
			b.ReportAllocs()
			for b.Loop() {
				to, err := recipient(message.Mail.Recipient)
				if err != nil {
					b.Fatal(err)
				}
				msg, err := oracle(c, settings, message, to)
				if err != nil {
					b.Fatal(err)
				}
				out.Reset()
				if _, err := msg.WriteTo(&out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// reportCPU reports the CPU time of an operation, which says more than the time on a
// machine that has other work: the function that it returns ends the measurement.
func reportCPU(b *testing.B) func() {
	b.Helper()
	before := cpu(b)
	return func() { b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op") }
}

// cpu returns the CPU time of this process.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
