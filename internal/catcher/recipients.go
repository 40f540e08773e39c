package catcher

import (
	"strings"
	"sync"

	"github.com/emersion/go-smtp"
)

// ByRecipient returns a script that answers as real mail servers do. The address of
// the recipient decides:
//
//	no-such-user@…   is rejected: 550 5.1.1
//	greylisted…@…    is deferred at the first try, 450 4.7.1, and accepted from the second on
//
// Every other email is accepted. Each script counts its own tries.
func ByRecipient() func(Step) error {
	var mu sync.Mutex
	tried := make(map[string]bool)
	return func(s Step) error {
		if s.Phase != RcptTo {
			return nil
		}
		address := strings.ToLower(s.To)
		local, _, _ := strings.Cut(address, "@")
		switch {
		case local == "no-such-user":
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such user here"}
		case strings.HasPrefix(local, "greylisted"):
			mu.Lock()
			defer mu.Unlock()
			if !tried[address] {
				tried[address] = true
				return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "Greylisted, please try again later"}
			}
		}
		return nil
	}
}
