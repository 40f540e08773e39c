package workflow_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"countersign/workflow"
)

func TestDocumentSame_NoticesEachField(t *testing.T) {
	typ := reflect.TypeFor[workflow.Document]()
	for i := range typ.NumField() {
		var before, after workflow.Document
		switch f := reflect.ValueOf(&after).Elem().Field(i).Addr().Interface().(type) {
		case *[]string:
			*f = []string{"x"}
		case *[]workflow.Order:
			*f = []workflow.Order{{Status: workflow.OrderReceived}}
		case *[]workflow.LetterPart:
			*f = []workflow.LetterPart{workflow.PartNumber}
		case *json.RawMessage:
			*f = json.RawMessage("{}")
		case *workflow.ServiceAddress:
			f.Country = "US"
		case *workflow.Asked:
			f.Entry = 1
		case *time.Time:
			*f = time.UnixMilli(1)
		case *int:
			*f = 1
		case *bool:
			*f = true
		case **time.Time:
			*f = new(time.Time)
		case **workflow.OwnTimers:
			*f = new(workflow.OwnTimers)
		default:
			reflect.ValueOf(f).Elem().SetString("x")
		}
		if before.Same(after) || !after.Same(after) {
			t.Errorf("%s: Same does not compare it", typ.Field(i).Name)
		}
	}
}
