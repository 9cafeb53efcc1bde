/// What could become a token next: the one that saves the most tokens first, of equal ones that with the lower ids.
struct CandidateQueue: Sendable {
    /// What could become a token.
    struct Candidate: Sendable, Equatable {
        /// How many tokens of the corpus it saves, when it was entered.
        let saving: Int
        /// Two ids, or -1 and a character.
        let left: Int32
        /// The second id, or the character.
        let right: Int32

        /// Whether this one comes before another.
        func precedes(_ other: Candidate) -> Bool {
            if saving != other.saving { return saving > other.saving }
            return (left, right) < (other.left, other.right)
        }
    }

    /// A heap: each precedes the two at twice its index plus one and two.
    private var heap: [Candidate] = []

    /// Whether nothing is left.
    var isEmpty: Bool { heap.isEmpty }

    /// Enters a candidate.
    mutating func push(_ candidate: Candidate) {
        heap.append(candidate)
        var index = heap.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            guard candidate.precedes(heap[parent]) else { break }
            heap[index] = heap[parent]
            index = parent
        }
        heap[index] = candidate
    }

    /// Takes the first candidate out.
    mutating func pop() -> Candidate? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        if heap.isEmpty { return first }
        var index = 0
        while true {
            var child = 2 * index + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1].precedes(heap[child]) { child += 1 }
            guard heap[child].precedes(last) else { break }
            heap[index] = heap[child]
            index = child
        }
        heap[index] = last
        return first
    }
}
