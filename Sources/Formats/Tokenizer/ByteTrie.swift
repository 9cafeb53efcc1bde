/// A prefix tree of byte strings, for finding any of them in a text.
struct ByteTrie: Sendable {
    /// The value of the string that ends at each node, or -1; node 0 is the root.
    private var values: [Int32] = [-1]
    /// For each byte, the node of the strings that begin with it, or -1.
    private var roots = [Int32](repeating: -1, count: 256)
    /// The other steps from node to node: open addressing with linear probing, at most half full.
    private var steps = [Step](repeating: Step(), count: 16)
    private var stepCount = 0

    private struct Step: Sendable {
        /// The node that is left, times 256, and the byte; ``none`` where the slot is free.
        var key = UInt64.max
        var child: Int32 = -1
    }

    /// Adds a string that is not empty; of equal strings the last one's value counts.
    mutating func insert(_ string: Span<UInt8>, value: Int32) {
        var node = Int(roots[Int(string[0])])
        if node < 0 {
            node = addNode()
            roots[Int(string[0])] = Int32(node)
        }
        for index in 1..<max(1, string.count) {
            let next = child(of: node, string[index])
            node = next >= 0 ? next : addStep(from: node, string[index])
        }
        values[node] = value
    }

    private mutating func addNode() -> Int {
        values.append(-1)
        return values.count - 1
    }

    private mutating func addStep(from node: Int, _ byte: UInt8) -> Int {
        if (stepCount + 1) * 2 > steps.count { grow() }
        let child = addNode()
        place(Step(key: Self.key(node, byte), child: Int32(child)))
        stepCount += 1
        return child
    }

    private mutating func grow() {
        let old = steps
        steps = [Step](repeating: Step(), count: old.count * 2)
        for step in old where step.child >= 0 { place(step) }
    }

    private mutating func place(_ step: Step) {
        let mask = steps.count - 1
        var slot = Self.hash(step.key) & mask
        while steps[slot].child >= 0 { slot = (slot + 1) & mask }
        steps[slot] = step
    }

    @inline(__always)
    private static func key(_ node: Int, _ byte: UInt8) -> UInt64 { UInt64(node) << 8 | UInt64(byte) }

    @inline(__always)
    private static func hash(_ key: UInt64) -> Int {
        Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> 32)
    }

    /// The node that a byte leads to from a node that is not the root, or -1.
    @inline(__always)
    private func child(of node: Int, _ byte: UInt8) -> Int {
        let key = Self.key(node, byte)
        let mask = steps.count - 1
        var slot = Self.hash(key) & mask
        while true {
            let step = steps[slot]
            if step.key == key || step.child < 0 { return Int(step.child) }
            slot = (slot + 1) & mask
        }
    }

    /// The first place from `start` on where a string begins; the longest that begins there.
    func firstMatch(in text: Span<UInt8>, from start: Int) -> (start: Int, end: Int, value: Int)? {
        let roots = roots.span
        for position in start..<text.count where roots[Int(text[position])] >= 0 {
            var best: (start: Int, end: Int, value: Int)?
            forEachPrefix(of: text, from: position) { best = (position, $0, $1) }
            if let best { return best }
        }
        return nil
    }

    /// Calls `body` with the end and the value of each string that begins at `start`, the shortest first.
    @inline(__always)
    func forEachPrefix(of text: Span<UInt8>, from start: Int, _ body: (_ end: Int, _ value: Int) -> Void) {
        var node = Int(roots[Int(text[start])])
        var position = start + 1
        while node >= 0 {
            if values[node] >= 0 { body(position, Int(values[node])) }
            guard position < text.count else { return }
            node = child(of: node, text[position])
            position += 1
        }
    }
}
