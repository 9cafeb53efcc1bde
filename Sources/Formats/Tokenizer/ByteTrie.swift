/// A prefix tree of byte strings, for finding any of them in a text.
struct ByteTrie: Sendable {
    private struct Node: Sendable {
        var byte: UInt8
        /// The value of the string that ends here, or -1.
        var value: Int32 = -1
        var firstChild: Int32 = -1
        var nextSibling: Int32 = -1
    }

    private var nodes: [Node] = [Node(byte: 0)]
    /// For each byte, the node of the strings that begin with it, or -1.
    private var roots = [Int32](repeating: -1, count: 256)

    /// Adds a string that is not empty; of equal strings the last one's value counts.
    mutating func insert(_ string: Span<UInt8>, value: Int32) {
        var node = 0
        for index in string.indices {
            if let child = child(of: node, string[index]) {
                node = child
            } else {
                let child = Int32(nodes.count)
                nodes.append(Node(byte: string[index], nextSibling: nodes[node].firstChild))
                nodes[node].firstChild = child
                if node == 0 { roots[Int(string[index])] = child }
                node = Int(child)
            }
        }
        nodes[node].value = value
    }

    /// The first place from `start` on where a string begins; the longest that begins there.
    func firstMatch(in text: Span<UInt8>, from start: Int) -> (start: Int, end: Int, value: Int)? {
        let roots = roots.span
        for position in start..<text.count where roots[Int(text[position])] >= 0 {
            if let (end, value) = longestMatch(in: text, at: position) { return (position, end, value) }
        }
        return nil
    }

    private func longestMatch(in text: Span<UInt8>, at start: Int) -> (end: Int, value: Int)? {
        var best: (end: Int, value: Int)?
        var node = 0
        var position = start
        while position < text.count, let child = child(of: node, text[position]) {
            node = child
            position += 1
            if nodes[node].value >= 0 { best = (position, Int(nodes[node].value)) }
        }
        return best
    }

    private func child(of node: Int, _ byte: UInt8) -> Int? {
        if node == 0 {
            let root = Int(roots[Int(byte)])
            return root < 0 ? nil : root
        }
        var child = Int(nodes[node].firstChild)
        while child >= 0, nodes[child].byte != byte { child = Int(nodes[child].nextSibling) }
        return child < 0 ? nil : child
    }
}
