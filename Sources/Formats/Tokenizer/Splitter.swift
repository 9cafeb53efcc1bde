/// Divides text at what a pattern finds.
struct Splitter: Sendable {
    /// What becomes of the matches.
    enum Behavior: String, Sendable, CaseIterable {
        /// They are left out.
        case removed = "Removed"
        /// Each is a piece of its own.
        case isolated = "Isolated"
        /// Each is joined to the piece before it.
        case mergedWithPrevious = "MergedWithPrevious"
        /// Each is joined to the piece after it.
        case mergedWithNext = "MergedWithNext"
        /// Adjacent ones are one piece.
        case contiguous = "Contiguous"

        /// Reads a behaviour's name, which some components write in lower case with underscores.
        init(_ field: TokenizerField) throws(UserFacingError) {
            let name = try field.string()
            guard
                let behavior = Self.allCases.first(where: {
                    $0.rawValue.lowercased() == name.lowercased().filter { $0 != "_" }
                })
            else { throw field.failure(Self.allCases.map(\.rawValue).joined(separator: ", ")) }
            self = behavior
        }
    }

    let pattern: TextPattern
    let behavior: Behavior
    /// Whether matches and what is between them change places.
    var isInverted = false

    /// Divides every piece.
    func divide(_ text: inout PreTokenizedString) throws(UserFacingError) {
        try text.dividePieces { bytes, division throws(UserFacingError) in
            switch behavior {
            case .isolated:
                try pattern.forEachPart(of: bytes) { range, _ in division.append(range) }
            case .removed:
                try pattern.forEachPart(of: bytes) { range, isMatch in
                    if isMatch == isInverted { division.append(range) }
                }
            case .mergedWithPrevious, .mergedWithNext, .contiguous:
                var parts: [(range: Range<Int>, isMatch: Bool)] = []
                try pattern.forEachPart(of: bytes) { range, isMatch in
                    parts.append((range, isMatch != isInverted))
                }
                for range in merged(parts) { division.append(range) }
            }
        }
    }

    private func merged(_ parts: [(range: Range<Int>, isMatch: Bool)]) -> [Range<Int>] {
        var merged: [Range<Int>] = []
        var previousIsMatch = false
        for (range, isMatch) in behavior == .mergedWithNext ? parts.reversed() : parts {
            let joins =
                switch behavior {
                case .contiguous: isMatch == previousIsMatch
                default: isMatch && !previousIsMatch
                }
            previousIsMatch = isMatch
            guard joins, let last = merged.popLast() else {
                merged.append(range)
                continue
            }
            merged.append(
                min(last.lowerBound, range.lowerBound)..<max(last.upperBound, range.upperBound))
        }
        return behavior == .mergedWithNext ? merged.reversed() : merged
    }
}
