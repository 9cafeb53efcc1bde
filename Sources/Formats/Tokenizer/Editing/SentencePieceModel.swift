/// SentencePiece's `tokenizer.model`, to which pieces are appended; everything that is there stays as it is.
///
/// Source: sentencepiece_model.proto (ModelProto: 1 pieces, 2 trainer_spec, 3 normalizer_spec) and the encoding of
/// Protocol Buffers, in which a message's field may come in parts, of which the last value counts.
package struct SentencePieceModel {
    /// What a piece is.
    package enum Kind: UInt64, Sendable {
        case normal = 1
        case unknown, control, userDefined, unused, byte
    }

    /// A piece (1 piece, 2 score, 3 type).
    package struct Piece: Sendable {
        package var text = ""
        package var score: Float = 0
        package var kind = Kind.normal
    }

    /// What of the training matters to encoding (3 model_type, 4 vocab_size, 24 treat_whitespace_as_suffix,
    /// 35 byte_fallback).
    package struct Training: Sendable {
        /// 1 Unigram, 2 byte-pair encoding, 3 words, 4 characters.
        package var modelType: UInt64 = 1
        package var putsSpacesBehind = false
        package var fallsBackToBytes = false
    }

    /// What is done to a text before it is encoded (2 precompiled_charsmap, 3 add_dummy_prefix,
    /// 4 remove_extra_whitespaces, 5 escape_whitespaces).
    package struct Normalization: Sendable {
        package var map: [UInt8] = []
        package var addsPrefix = true
        package var removesExtraSpaces = true
        package var marksSpaces = true
    }

    /// The file's content.
    package private(set) var bytes: [UInt8]
    /// The pieces in the order of their ids.
    package private(set) var pieces: [Piece] = []
    /// What of the training matters to encoding.
    package private(set) var training = Training()
    /// What is done to a text before it is encoded.
    package private(set) var normalization = Normalization()
    /// The lowest score; pieces with lower scores are joined later.
    private var lowestScore: Float = 0
    /// Its path, for messages.
    package let file: String

    /// How many pieces there are.
    package var count: Int { pieces.count }

    /// Reads the pieces.
    ///
    /// - Throws: ``UserFacingError`` when this is no such file.
    package init(_ bytes: [UInt8], file: String) throws(UserFacingError) {
        (self.bytes, self.file) = (bytes, file)
        guard read(), !pieces.isEmpty else {
            throw .malformed(
                file: file, found: "something else than SentencePiece's pieces",
                expected: "a SentencePiece model; remove the file where it is of another kind")
        }
        lowestScore = pieces.reduce(0) { min($0, $1.score) }
    }

    private mutating func read() -> Bool {
        Self.forEachField(of: bytes[...]) { number, value in
            switch (number, value) {
            case (1, .bytes(let message)): readPiece(message)
            case (1, _): false
            case (2, .bytes(let message)): readTraining(message)
            case (3, .bytes(let message)): readNormalization(message)
            default: true
            }
        }
    }

    private mutating func readPiece(_ message: ArraySlice<UInt8>) -> Bool {
        var piece = Piece()
        let isRead = Self.forEachField(of: message) { number, value in
            switch (number, value) {
            case (1, .bytes(let text)):
                guard let text = String(validating: text, as: UTF8.self) else { return false }
                piece.text = text
            case (2, .fixed32(let bits)): piece.score = Float(bitPattern: bits)
            case (3, .varint(let kind)):
                guard let kind = Kind(rawValue: kind) else { return false }
                piece.kind = kind
            default: break
            }
            return true
        }
        pieces.append(piece)
        return isRead
    }

    private mutating func readTraining(_ message: ArraySlice<UInt8>) -> Bool {
        Self.forEachField(of: message) { number, value in
            switch (number, value) {
            case (3, .varint(let type)): training.modelType = type
            case (24, .varint(let flag)): training.putsSpacesBehind = flag != 0
            case (35, .varint(let flag)): training.fallsBackToBytes = flag != 0
            default: break
            }
            return true
        }
    }

    private mutating func readNormalization(_ message: ArraySlice<UInt8>) -> Bool {
        Self.forEachField(of: message) { number, value in
            switch (number, value) {
            case (2, .bytes(let map)): normalization.map = Array(map)
            case (3, .varint(let flag)): normalization.addsPrefix = flag != 0
            case (4, .varint(let flag)): normalization.removesExtraSpaces = flag != 0
            case (5, .varint(let flag)): normalization.marksSpaces = flag != 0
            default: break
            }
            return true
        }
    }

    /// Visits a message's fields; false when it is none, or a visit says so.
    private static func forEachField(
        of message: ArraySlice<UInt8>, _ visit: (UInt64, ProtobufReader.Value) -> Bool
    ) -> Bool {
        var reader = ProtobufReader(message)
        while !reader.isAtEnd {
            guard let field = reader.next(), visit(field.number, field.value) else { return false }
        }
        return true
    }

    /// Appends tokens with ever lower scores, added ones as user-defined symbols, and says how many there are now.
    ///
    /// - Parameters:
    ///   - extra: the tokens; what would stand before them, but only the tokenizer has, comes first.
    ///   - tokenizer: the tokenizer that they are added to.
    /// - Throws: ``UserFacingError`` when the ids can't be those of pieces.
    package mutating func append(_ extra: VocabularyExtension, to tokenizer: Tokenizer)
        throws(UserFacingError)
    {
        appendMissing(of: tokenizer)
        var new: [(id: Int32, text: String, kind: Kind)] = extra.tokens.map { ($0.id, $0.spelling, .normal) }
        new += extra.placeholders.map { ($0.id, $0.spelling, .unused) }
        new += extra.added.map { ($0.id, $0.content, $0.isSpecial ? .control : .userDefined) }
        for token in new.sorted(by: { $0.id < $1.id }) {
            guard token.id == count else {
                throw .malformed(
                    file: file, found: "\(count) pieces, more than the tokenizer has tokens",
                    expected: "as many, so that \"\(token.text)\" can get the id \(token.id)")
            }
            append(token.text, token.kind)
        }
        appendCount()
    }

    /// Appends what only the tokenizer has behind the pieces.
    package mutating func complete(by tokenizer: Tokenizer) {
        guard count <= tokenizer.largestID else { return }
        appendMissing(of: tokenizer)
        appendCount()
    }

    private mutating func appendMissing(of tokenizer: Tokenizer) {
        while count <= tokenizer.largestID, let text = tokenizer.token(of: Int32(count)) {
            let added = tokenizer.addedToken(Int32(count))
            append(added?.text ?? text, added.map { $0.isSpecial ? .control : .userDefined } ?? .unused)
        }
    }

    private mutating func appendCount() {
        var size = ProtobufWriter()
        size.append(field: 4, varint: UInt64(count))
        var writer = ProtobufWriter()
        writer.append(field: 2, bytes: size.bytes)
        bytes += writer.bytes
    }

    private mutating func append(_ text: String, _ kind: Kind) {
        if kind == .normal { lowestScore -= 1 }
        let piece = Piece(text: text, score: kind == .normal ? lowestScore : 0, kind: kind)
        pieces.append(piece)
        bytes += piece.message
    }
}

extension SentencePieceModel.Piece {
    /// As a field of the model.
    var message: [UInt8] {
        var inner = ProtobufWriter()
        inner.append(field: 1, bytes: Array(text.utf8))
        inner.append(field: 2, fixed32: score.bitPattern)
        if kind != .normal { inner.append(field: 3, varint: kind.rawValue) }
        var writer = ProtobufWriter()
        writer.append(field: 1, bytes: inner.bytes)
        return writer.bytes
    }
}
