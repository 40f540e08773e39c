package mail_test

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/internal/mail"
	"countersign/internal/test/proxytest"
	"countersign/workflow"
)

// distance is the round trip to the server of BenchmarkPoolSend_Latency.
const distance = 10 * time.Millisecond

// BenchmarkPoolSend_Latency sends over eight connections to a server at a distance.
// of-C/L is the share of eight emails in each round trip, of-bare that of what a loop
// reaches which writes one constant group an email and reads the replies.
func BenchmarkPoolSend_Latency(b *testing.B) {
	for _, w := range paths {
		b.Run(strings.ReplaceAll(w.name, " ", "-"), func(b *testing.B) {
			const connections = 8
			c := settings(b, distant(b, w.ehlo))
			c.Pool = connections
			p := pool(b, c)
			m := mail.Message{Mail: mailOf(workflow.MailSignature, several())}
			for b.Loop() {
				var wg sync.WaitGroup
				for range connections { // as the relay sends
					wg.Go(func() {
						for range 100 {
							if r := p.Send(b.Context(), m); r.Outcome != workflow.Accepted {
								b.Errorf("%+v", r)
							}
						}
					})
				}
				wg.Wait()
			}
			rate := float64(b.N) * 100 * connections / b.Elapsed().Seconds()
			b.ReportMetric(rate, "emails/s")
			b.ReportMetric(rate/(connections/distance.Seconds()), "of-C/L")
			b.ReportMetric(rate/bare(b, connections, 100), "of-bare")
		})
	}
}

// sink is a server that keeps nothing. Its replies to a group come together.
func sink(b *testing.B, ehlo string) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go reply(conn, ehlo)
		}
	}()
	return l.Addr().String()
}

// distant is a sink at a distance.
func distant(b *testing.B, ehlo string) string {
	b.Helper()
	far := proxytest.Start(b, sink(b, ehlo))
	far.Set(proxytest.Down, proxytest.Fault{Latency: distance})
	return far.Addr()
}

// group is an email in one write, as BenchmarkPoolSend_Latency compares with.
var group = "MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nBDAT 10000 LAST\r\n" + strings.Repeat("0123456789", 1000) + "RSET\r\n"

// bare sends groups over some connections, and does nothing else. It returns how
// many a second.
func bare(b *testing.B, connections, each int) float64 {
	b.Helper()
	addr := distant(b, paths[2].ehlo)
	var wg sync.WaitGroup
	start := time.Now()
	for range connections {
		wg.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			in := bufio.NewScanner(conn)
			in.Scan()
			for range each {
				_, _ = conn.Write([]byte(group))
				for range 4 {
					in.Scan()
				}
			}
		})
	}
	wg.Wait()
	return float64(connections*each) / time.Since(start).Seconds()
}

func reply(conn net.Conn, ehlo string) {
	defer conn.Close()
	in, out := bufio.NewReaderSize(conn, 64<<10), bufio.NewWriter(conn)
	say := func(words string) { _, _ = out.WriteString(words + "\r\n") }
	say("220 sink.test")
	for {
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch verb, rest, _ := strings.Cut(strings.TrimSpace(line), " "); verb {
		case "EHLO":
			say(ehlo)
		case "DATA":
			say("354 go")
			_ = out.Flush()
			for line != ".\r\n" && err == nil {
				line, err = in.ReadString('\n')
			}
			say("250 2.0.0 queued")
		case "BDAT":
			if err := discard(in, rest); err != nil {
				return
			}
			say("250 2.0.0 queued")
		default:
			say("250 2.0.0 ok")
		}
	}
}
