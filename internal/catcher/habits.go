package catcher

import (
	"strings"
	"sync"

	"github.com/emersion/go-smtp"
)

// Habits returns a script with the habits of real mail servers, to be tried by
// hand. The address of the recipient chooses:
//
//	no-such-user@…   refused for good: 550 5.1.1
//	greylisted…@…    put off at the first try: 450 4.7.1; taken from the second on
//
// Every other mail is taken. What was tried before is the returned script's own.
func Habits() func(Step) error {
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
