package queue

// Rank says where somebody with this key and id stands, or would stand if he were in the line; in O(log n). Somebody unknown whose id is of a
// foreign form is taken as the first of his microsecond.
func (v View) Rank(key Key, id string, way Way) Place {
	key.Priority = max(0, min(key.Priority, maxPriority))
	e := entry{at: key.EnqueuedAt}
	if d, ok := v.line.texts.find(id); ok {
		e.id = d
	}
	before, _, _ := v.line.class[key.Priority].rank(e, v.line.texts)
	return v.line.place(key, way, before)
}

// Sum is how many wait and the sum of their versions: equal to those of the database exactly if nothing was missed. A change may come
// between two looks, so a difference counts only if the sums stayed the same while the database was asked.
func (x *Index) Sum() (n int, versions int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.core.Load()
	return c.line.Load().counts.Total(), c.versions.Load()
}
