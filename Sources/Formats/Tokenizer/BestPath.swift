/// For each place of a word the best way to get there: its last piece, and the sum of all its scores.
struct BestPath: Sendable {
    private struct Place: Sendable {
        var score = 0.0
        /// Where the last piece begins; -1 before there is any way.
        var start: Int32 = -1
        var id: Int32 = -1
    }

    private var places: [Place] = []
    private var pieces: [(range: Range<Int>, id: Int32)] = []

    /// Begins with a word of so many bytes.
    mutating func begin(count: Int) {
        places.removeAll(keepingCapacity: true)
        places.append(contentsOf: repeatElement(Place(), count: count + 1))
    }

    /// Takes a piece when it is the best way to its end, and tells whether it is; of equal ways the first
    /// stays.
    @inline(__always)
    @discardableResult
    mutating func offer(_ range: Range<Int>, _ id: Int32, score: Double) -> Bool {
        let total = score + places[range.lowerBound].score
        let end = range.upperBound
        guard places[end].start < 0 || total > places[end].score else { return false }
        places[end] = Place(score: total, start: Int32(range.lowerBound), id: id)
        return true
    }

    /// Gives the pieces of the best way from left to right, runs of the unknown one as one.
    mutating func trace(unknown: Int32, _ body: (Range<Int>, Int32) -> Void) {
        pieces.removeAll(keepingCapacity: true)
        var end = places.count - 1
        while end > 0 {
            let place = places[end]
            let start = Int(place.start)
            if place.id == unknown, let last = pieces.last, last.id == unknown {
                pieces[pieces.count - 1].range = start..<last.range.upperBound
            } else {
                pieces.append((start..<end, place.id))
            }
            end = start
        }
        for piece in pieces.reversed() { body(piece.range, piece.id) }
    }
}
