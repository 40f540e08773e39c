package mail_test

import (
	"testing"

	"countersign/internal/mail"
	"countersign/workflow"
)

// BenchmarkSend writes and sends signature mails over one kept connection and
// over eight, to a server on loopback.
func BenchmarkSend(b *testing.B) {
	m := mail.Message{Mail: mailOf(workflow.MailSignature, several())}
	b.Run("one", func(b *testing.B) {
		p := pool(b, settings(b, speak(b, script{}).addr))
		b.ReportAllocs()
		for b.Loop() {
			if r := p.Send(b.Context(), m); r.Outcome != workflow.Accepted {
				b.Fatalf("%+v", r)
			}
		}
	})
	b.Run("eight", func(b *testing.B) {
		c := settings(b, speak(b, script{}).addr)
		c.Pool = 8
		p := pool(b, c)
		b.ReportAllocs()
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if r := p.Send(b.Context(), m); r.Outcome != workflow.Accepted {
					b.Errorf("%+v", r)
				}
			}
		})
	})
}
