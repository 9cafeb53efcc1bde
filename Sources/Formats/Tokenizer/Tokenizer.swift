/// A tokenizer as Hugging Face's `tokenizer.json` describes it, encoding and decoding exactly as the
/// reference does; what is not supported is refused when it is opened.
///
/// The file's `truncation` and `padding` are not applied: they shape batches, and transformers, too, leaves
/// both off unless asked.
///
/// Source: Hugging Face tokenizers 0.23.
public struct Tokenizer: Sendable {
    /// All tokens, their ids, and which of them the model knows.
    let vocabulary: Vocabulary
    let addedTokens: AddedTokens
    private(set) var normalizer: Normalizer?
    private(set) var preTokenizer: PreTokenizer
    let model: TokenModel
    let postProcessor: PostProcessor
    let decoder: Decoder?
    let workspaces = WorkspacePool()
    /// Whether special tokens that are spelled out in a text are encoded as text, as `split_special_tokens` of
    /// tokenizer_config.json asks for.
    public var splitsSpecialTokens = false
    /// The SHA-256 of the file that it was read from, in hexadecimal, and the name of what mends it, if anything does;
    /// nil when it was made of JSON alone.
    public private(set) var sha256: String?

    /// Opens a tokenizer.
    ///
    /// - Parameter path: tokenizer.json, or the folder that holds it.
    /// - Returns: the tokenizer, ready for use by many threads.
    /// - Throws: ``UserFacingError`` when it can't be read, contradicts itself or asks for something unknown.
    public static func open(_ path: String) throws(UserFacingError) -> Tokenizer {
        let file = path.hasSuffix(".json") ? path : path + (path.hasSuffix("/") ? "" : "/") + "tokenizer.json"
        return try Tokenizer(parsing: InputFile(path: file).bytes(), file: file)
    }

    /// The tokenizer in a file that was read.
    ///
    /// - Parameters:
    ///   - bytes: the file's content.
    ///   - file: what error messages call it.
    ///   - mended: changes what the file says; its name goes into ``sha256``.
    /// - Throws: ``UserFacingError`` when it contradicts itself or asks for something unknown.
    init(
        parsing bytes: [UInt8], file: String, mended: (name: String, change: (inout JSON) -> Void)? = nil
    ) throws(UserFacingError) {
        try self.init(
            json: JSON(parsing: bytes, file: file, duplicates: .refused), bytes: bytes, file: file,
            mended: mended)
    }

    /// The tokenizer in a file's bytes, which are this JSON.
    init(
        json: JSON, bytes: [UInt8], file: String,
        mended: (name: String, change: (inout JSON) -> Void)? = nil
    ) throws(UserFacingError) {
        var json = json
        if let mended { mended.change(&json) }
        try self.init(json: json, file: file)
        sha256 = FileDigest.sha256(bytes) + (mended.map { "+\($0.name)" } ?? "")
    }

    /// Builds the tokenizer that a tokenizer.json describes.
    ///
    /// - Parameters:
    ///   - json: the file's content.
    ///   - file: what error messages call it.
    /// - Throws: ``UserFacingError`` when it contradicts itself or asks for something unknown.
    public init(json: JSON, file: String) throws(UserFacingError) {
        let root = TokenizerField(file: file, path: "", json: json)
        guard json.object != nil else {
            throw .wrongField(file: file, path: "the file", found: json.kind, expected: "an object")
        }
        let model = root["model"]
        _ = try TokenModel.Kind(model)  // before anything in it is looked at
        var added: [AddedToken] = []
        for element in try root["added_tokens"].ifPresent?.elements() ?? [] {
            added.append(try AddedToken(element))
        }
        normalizer = try Normalizer(root["normalizer"])
        preTokenizer = try PreTokenizer(root["pre_tokenizer"])
        vocabulary = try Vocabulary(model["vocab"], added: added)
        addedTokens = try AddedTokens(added, normalizer)
        self.model = try TokenModel(
            model, vocabulary: vocabulary, isByteLevel: preTokenizer.endsInBytes)
        postProcessor = try PostProcessor(root["post_processor"], vocabulary)
        decoder = try Decoder(root["decoder"])
    }

    /// The largest id, to compare with the rows of an embedding; -1 when there are no tokens.
    public var largestID: Int { vocabulary.count - 1 }

    /// How many ids there are up to the last token that is no added one, and so may come of any text.
    public var plainCount: Int {
        vocabulary.tokens.indices.last { addedTokens.text(of: Int32($0)) == nil }.map { $0 + 1 } ?? 0
    }

    /// The token that stands for what the model does not know; nil when it has none, as byte-level models.
    public var unknownID: Int32? { model.unknown }

    /// Whether a token is an added one, which is found in texts before they are cut into words.
    package func isAdded(_ id: Int32) -> Bool { addedTokens.text(of: id) != nil }

    /// The id of a token, spelled as in the file.
    public func id(of token: String) -> Int32? { vocabulary.id(of: token.utf8.span) }

    /// The token of an id, spelled as in the file.
    public func token(of id: Int32) -> String? {
        vocabulary.tokens.indices.contains(Int(id)) ? vocabulary.tokens[Int(id)] : nil
    }

    /// What a token stands for, for people: its text, or its spelling in the file where it is no text by itself.
    package func text(of id: Int32) -> String {
        let text = decode([id])
        return text.isEmpty || text.contains("\u{FFFD}") ? token(of: id) ?? text : text
    }

    /// The text of ids.
    ///
    /// - Parameters:
    ///   - ids: the ids; those that no token has are left out.
    ///   - skipSpecialTokens: whether special tokens are left out.
    /// - Returns: the text; bytes that are not UTF-8 come out as U+FFFD.
    public func decode(_ ids: [Int32], skipSpecialTokens: Bool = false) -> String {
        let tokens = ids.compactMap { id -> [UInt8]? in
            guard let text = addedTokens.text(of: id) ?? token(of: id).map({ Array($0.utf8) }) else {
                return nil
            }
            return skipSpecialTokens && addedTokens.isSpecial(text) ? nil : text
        }
        guard let decoder else {
            return String(decoding: Array(tokens.joined(separator: [UInt8(ascii: " ")])), as: UTF8.self)
        }
        // A pattern can only fail on a token by running into the expression engine's limits; then the
        // tokens stand for themselves.
        let parts = (try? decoder.apply(to: tokens)) ?? tokens
        return String(decoding: parts.flatMap { $0 }, as: UTF8.self)
    }
}

extension Tokenizer {
    /// Whether its tokens are spelled in the alphabet of bytes.
    package var isByteLevel: Bool { bytePair?.byteTokens != nil }

    /// Counts the control tokens that are spelled out in a text: the special ones among the added tokens.
    func countControlTokens(in text: Span<UInt8>, into counts: inout [String: Int]) {
        addedTokens.control.forEachMatch(in: text) { counts[$0.content, default: 0] += 1 }
    }

    /// The same tokenizer for texts that are read in some way: it is told whether they are plain.
    package func reading(_ options: TextOptions) -> Tokenizer {
        var tokenizer = self
        if options.isPlain { tokenizer.splitsSpecialTokens = true }
        return tokenizer
    }

    /// The same tokenizer for a text that goes on from another: nothing is put before it, as SentencePiece's "▁" is put
    /// before a text.
    package var continuing: Tokenizer {
        var tokenizer = self
        (tokenizer.normalizer, tokenizer.preTokenizer) = (normalizer?.continuing, preTokenizer.continuing)
        return tokenizer
    }

    /// Whether it composes text (NFC or NFKC), so that Hangul in parts becomes the tokens of whole syllables.
    public var composes: Bool {
        let parts = Array("\u{1112}\u{1161}\u{11AB}".utf8)
        return (try? normalizer?.apply(to: parts)) == Array("\u{D55C}".utf8)
    }

    /// An added token's text and whether it is a special one; nil for a token that is not an added one.
    package func addedToken(_ id: Int32) -> (text: String, isSpecial: Bool)? {
        guard let text = addedTokens.text(of: id) else { return nil }
        return (String(decoding: text, as: UTF8.self), addedTokens.isSpecial(text))
    }
}
