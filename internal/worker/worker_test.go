package worker_test

import (
	"strings"
	"testing"

	"countersign/internal/config"
	"countersign/internal/worker"
)

// TestNew_RefusesProviderThatLettersCannotPrint starts no worker.
func TestNew_RefusesProviderThatLettersCannotPrint(t *testing.T) {
	_, err := worker.New(t.Context(), worker.Options{Config: config.Config{DataDir: t.TempDir(), Provider: "株式会社"}})
	if err == nil || !strings.Contains(err.Error(), "--provider") {
		t.Errorf("got %v", err)
	}
}
