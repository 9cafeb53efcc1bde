/// SentencePiece's `tokenizer.model`, to which pieces are appended; everything that is there stays as it is.
///
/// Source: sentencepiece_model.proto (ModelProto: 1 pieces, 2 trainer_spec; SentencePiece: 1 piece, 2 score, 3 type;
/// TrainerSpec: 4 vocab_size) and the encoding of Protocol Buffers, in which a message's field may come in parts, of
/// which the last value counts.
struct SentencePieceModel {
    /// The file's content.
    private(set) var bytes: [UInt8]
    /// How many pieces there are.
    private(set) var count = 0
    /// The lowest score; pieces with lower scores are joined later.
    private var lowestScore: Float = 0

    /// Reads the pieces.
    ///
    /// - Throws: ``TokenizerEditError/malformed(file:found:expected:)`` when this is no such file.
    init(_ bytes: [UInt8], file: String) throws(TokenizerEditError) {
        self.bytes = bytes
        let malformed = TokenizerEditError.malformed(
            file: file, found: "something else than SentencePiece's pieces",
            expected: "a SentencePiece model; remove the file where it is of another kind")
        var reader = ProtobufReader(bytes[...])
        while !reader.isAtEnd {
            guard let field = reader.next() else { throw malformed }
            guard field.number == 1 else { continue }
            guard case .bytes(let piece) = field.value else { throw malformed }
            count += 1
            var inner = ProtobufReader(piece)
            while !inner.isAtEnd {
                guard let member = inner.next() else { throw malformed }
                if member.number == 2, case .fixed32(let bits) = member.value {
                    lowestScore = min(lowestScore, Float(bitPattern: bits))
                }
            }
        }
        guard count > 0 else { throw malformed }
    }

    /// Appends tokens with ever lower scores, added ones as user-defined symbols, and says how many there are now.
    mutating func append(_ extra: VocabularyExtension) {
        for token in extra.tokens { append(token.spelling, type: 1) }
        for token in extra.added { append(token.content, type: token.isSpecial ? 3 : 4) }
        var size = ProtobufWriter()
        size.append(field: 4, varint: UInt64(count))
        var writer = ProtobufWriter()
        writer.append(field: 2, bytes: size.bytes)
        bytes += writer.bytes
    }

    private mutating func append(_ text: String, type: UInt64) {
        lowestScore -= 1
        count += 1
        var piece = ProtobufWriter()
        piece.append(field: 1, bytes: Array(text.utf8))
        piece.append(field: 2, fixed32: type == 1 ? lowestScore.bitPattern : 0)
        if type != 1 { piece.append(field: 3, varint: type) }
        var writer = ProtobufWriter()
        writer.append(field: 1, bytes: piece.bytes)
        bytes += writer.bytes
    }
}
