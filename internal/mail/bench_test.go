package mail_test

import (
	"strings"
	"testing"

	"countersign/internal/mail"
	"countersign/workflow"
)

// BenchmarkSend writes and sends signature mails on each path, over one kept
// connection and over eight, to a server on loopback.
func BenchmarkSend(b *testing.B) {
	m := mail.Message{Mail: mailOf(workflow.MailSignature, several())}
	for _, w := range paths {
		name := strings.ReplaceAll(w.name, " ", "-")
		b.Run(name+"/one", func(b *testing.B) {
			p := pool(b, settings(b, sink(b, w.ehlo)))
			b.ReportAllocs()
			for b.Loop() {
				if r := p.Send(b.Context(), m); r.Outcome != workflow.Accepted {
					b.Fatalf("%+v", r)
				}
			}
		})
		b.Run(name+"/eight", func(b *testing.B) {
			c := settings(b, sink(b, w.ehlo))
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
}
