package relay

func (r *Deliveries) inFlight() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.flying {
		n += k
	}
	return n
}

// places is how many more deliveries to a receiver may be begun. A receiver that
// fails has one place.
func (r *Deliveries) places(receiver string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	most := r.Each
	if r.failing[receiver] {
		most = 1
	}
	return most - r.flying[receiver]
}

// ours reports whether deliveries of a claim are in flight here.
func (r *Deliveries) ours(claim uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open[claim] > 0
}

func (r *Deliveries) begin(receiver string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flying[receiver]++
}

func (r *Deliveries) end(receiver string, failed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flying[receiver]--; r.flying[receiver] == 0 {
		delete(r.flying, receiver)
	}
	delete(r.failing, receiver)
	if failed {
		r.failing[receiver] = true
	}
}

// land notes that n deliveries of a claim have their outcome.
func (r *Deliveries) land(claim uint64, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open[claim] -= n; r.open[claim] <= 0 {
		delete(r.open, claim)
	}
	select {
	case r.freed <- struct{}{}:
	default:
	}
}
