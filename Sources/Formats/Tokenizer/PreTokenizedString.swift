/// A text on its way to ids: its bytes, and the pieces it has been divided into so far.
struct PreTokenizedString: Sendable {
    /// A stretch of the text.
    struct Piece: Sendable {
        var start: Int
        var end: Int
        /// The added token that the piece is, or -1 for text that is still to be encoded.
        var token: Int32 = -1
        /// Whether the piece begins where the original text began.
        var isAtStart = false
    }

    /// The pieces that a step makes of one piece; ranges count from that piece's start.
    struct Division: ~Copyable {
        fileprivate var pieces: [Piece]
        fileprivate var origin = 0
        fileprivate var isAtStart = false

        /// Adds a part; an empty one is left out.
        mutating func append(_ range: Range<Int>, token: Int32 = -1) {
            guard token >= 0 || !range.isEmpty else { return }
            pieces.append(
                Piece(
                    start: origin + range.lowerBound, end: origin + range.upperBound, token: token,
                    isAtStart: isAtStart && range.lowerBound == 0))
        }
    }

    /// UTF-8.
    private(set) var bytes: [UInt8]
    private(set) var pieces: [Piece]

    /// A text of one piece.
    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        pieces = bytes.isEmpty ? [] : [Piece(start: 0, end: bytes.count, isAtStart: true)]
    }

    /// Divides each piece of text as `divide` says; added tokens stay.
    mutating func dividePieces(
        _ divide: (Span<UInt8>, inout Division) throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        var division = Division(pieces: [])
        division.pieces.reserveCapacity(pieces.count + bytes.count / 4)
        for piece in pieces {
            guard piece.token < 0 else {
                division.pieces.append(piece)
                continue
            }
            division.origin = piece.start
            division.isAtStart = piece.isAtStart
            try divide(bytes.span.extracting(piece.start..<piece.end), &division)
        }
        pieces = division.pieces
    }

    /// Divides each piece of text as `divide` says; added tokens stay.
    mutating func dividePieces(_ divide: (Span<UInt8>, inout Division) -> Void) {
        do {
            try dividePieces { bytes, division throws(UserFacingError) in divide(bytes, &division) }
        } catch {}
    }

    /// Writes each piece of text anew: `rewrite` appends what shall stand in its place.
    ///
    /// Pieces that come out empty are left out, and `rewrite` may say that a piece is no longer at the start.
    mutating func rewritePieces(
        _ rewrite: (_ piece: Span<UInt8>, _ isAtStart: inout Bool, _ output: inout [UInt8])
            throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + bytes.count / 4)
        var rewritten: [Piece] = []
        rewritten.reserveCapacity(pieces.count)
        for piece in pieces {
            let start = output.count
            let text = bytes.span.extracting(piece.start..<piece.end)
            var isAtStart = piece.isAtStart
            if piece.token < 0 {
                try rewrite(text, &isAtStart, &output)
                if output.count == start { continue }
            }
            rewritten.append(
                Piece(start: start, end: output.count, token: piece.token, isAtStart: isAtStart))
        }
        bytes = output
        pieces = rewritten
    }
}
