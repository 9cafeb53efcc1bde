public import Formats
internal import Models

/// What ends a text.
public enum EndOfText: Sendable, Equatable {
    /// The token that the model's configuration names.
    case ofModel
    /// A token, by its spelling or its id.
    case token(String)
    /// Nothing.
    case nothing

    /// What is asked for by a token, by its absence, or by neither.
    public init(token: String?, isLeftOut: Bool) {
        self = isLeftOut ? .nothing : token.map { .token($0) } ?? .ofModel
    }
}

/// How a document is laid out for training and evaluation: a start token, its text, and the end of text.
///
/// The tokens of the text are the tokenizer's own, without what the tokenizer itself puts around them.
public struct DocumentLayout: Codable, Sendable, Hashable {
    /// Stands before each text and is never predicted; nil where the model has no such token.
    public let start: Int32?
    /// Ends each text and is predicted; nil where nothing ends it.
    public let end: Int32?
    /// How many tokens the tokenizer itself puts before and behind a text.
    let tokenizersOwn: Own

    struct Own: Codable, Sendable, Hashable {
        var before = 0
        var behind = 0
    }

    /// A layout with these tokens.
    init(start: Int32?, end: Int32?, tokenizer: Tokenizer) throws(UserFacingError) {
        (self.start, self.end) = (start, end)
        tokenizersOwn = try tokenizer.ownTokens().count
    }

    /// A document's tokens, laid out, given those of its text and what ends it in place of the end of text, if anything does.
    func document(ofText text: some Collection<Int32>, end other: Int32? = nil) -> [Int32] {
        var document: [Int32] = []
        document.reserveCapacity(text.count + 2)
        if let start { document.append(start) }
        document += text
        if let end = other ?? end { document.append(end) }
        return document
    }

    /// How many tokens a document has whose text has so many; one without text is passed over.
    func count(ofText count: Int) -> Int {
        count == 0 ? 0 : count + (start == nil ? 0 : 1) + (end == nil ? 0 : 1)
    }

    /// The tokens of the text among those that the tokenizer made of it.
    func text(in encoded: [Int32]) -> ArraySlice<Int32> {
        encoded.dropFirst(tokenizersOwn.before).dropLast(tokenizersOwn.behind)
    }

    /// How many of a document's tokens, as the tokenizer makes it, are the text's.
    func textCount(of encoded: Int) -> Int {
        max(0, encoded - tokenizersOwn.before - tokenizersOwn.behind)
    }
}

extension DocumentLayout {
    /// The layout that a model's files ask for, and what there is to say of it.
    ///
    /// The start is the tokenizer's `bos_token`; where no file has that key, the one token that the tokenizer puts before a
    /// text; else its `eos_token`, the configuration's `bos_token_id`, the end. The end is the first `eos_token_id` of
    /// config.json, which need not be the tokenizer's; where it names none, generation_config.json's, else the tokenizer's.
    ///
    /// - Parameters:
    ///   - folder: the model without its weights, in Hugging Face's terms.
    ///   - tokenizer: the model's.
    ///   - vocabularySize: rows of the model's embedding; nil does not check them.
    ///   - endOfText: what ends a text.
    /// - Returns: the layout, sentences that the user should know, and the file that names the end; nil where none was
    ///   asked for it, or none does.
    /// - Throws: ``UserFacingError`` that names the file and the token.
    public static func found(
        in folder: Checkpoint, tokenizer: Tokenizer, vocabularySize: Int? = nil, endOfText: EndOfText
    ) throws(UserFacingError) -> (layout: DocumentLayout, notes: [String], endFile: String?) {
        let names = try SpecialTokenNames(folder, tokenizer)
        var (notes, endFile): ([String], String?) = ([], nil)
        let end: Int?
        switch endOfText {
        case .ofModel:
            (end, endFile) = (names.ends.first?.id, names.ends.first?.file)
            notes = names.notes(tokenizer, path: folder.path)
        case .token(let spelling):
            guard let id = tokenizer.id(of: spelling).map(Int.init) ?? Int(spelling), id >= 0 else {
                throw .noSuchEnd(path: folder.path, token: spelling)
            }
            end = id
        case .nothing: end = nil
        }
        let start = names.start ?? end
        for (token, what) in [(end, "eos_token_id"), (start, "bos_token_id")] {
            guard let token, let vocabularySize, token >= vocabularySize else { continue }
            throw .wrongSetting(
                path: folder.path, key: what, found: String(token),
                expected: "a row of the embedding, 0 to \(vocabularySize - 1)")
        }
        if start == nil {
            notes.append(
                "\(folder.path): no token is named that begins a text, so the first of each is not predicted")
        }
        let layout = try DocumentLayout(
            start: start.map(Int32.init), end: end.map(Int32.init), tokenizer: tokenizer)
        return (layout, notes, endFile)
    }
}

extension DocumentLayout {
    /// The layout that the files of a folder ask for, whose weights are not looked at; see `found(in:)`.
    public static func found(
        inFolder path: String, tokenizer: Tokenizer, endOfText: EndOfText
    ) throws(UserFacingError) -> (layout: DocumentLayout, notes: [String], endFile: String?) {
        var folder = try Checkpoint.openWithoutWeights(path)
        // A preset whose class is not known has no end in Hugging Face's terms, and its texts can be encoded all the same.
        folder.configuration = try? folder.configuration?.asHuggingFace(path: path)
        folder.auxiliaryFiles = folder.auxiliaryFiles.replacing(tokenizer: try TokenizerFiles.open(path))
        return try found(in: folder, tokenizer: tokenizer, endOfText: endOfText)
    }
}

/// The tokens that a model's files name for the start and the end of texts.
private struct SpecialTokenNames {
    /// Those that end a text, with the file that names them, the one that is used first.
    private(set) var ends: [(id: Int, file: String)] = []
    /// What begins a text.
    private(set) var start: Int?

    init(_ folder: Checkpoint, _ tokenizer: Tokenizer) throws(UserFacingError) {
        let configuration = folder.configuration?.json
        let generation = "generation_config.json"
        let generationConfig = try folder.auxiliaryFiles.first { $0.name == generation }?.json().json
        for id in Self.ids("eos_token_id", in: configuration) { ends.append((id, Configuration.fileName)) }
        for id in Self.ids("eos_token_id", in: generationConfig) { ends.append((id, generation)) }
        let eos = try Self.token("eos_token", folder, tokenizer)
        if let eos, let id = eos.id { ends.append((id, eos.file)) }
        var seen: Set<Int> = []
        ends.removeAll { !seen.insert($0.id).inserted }
        let bos = try Self.token("bos_token", folder, tokenizer)
        let own = bos == nil ? try tokenizer.ownTokens().before : []
        start =
            bos?.id ?? (own.count == 1 ? Int(own[0]) : nil) ?? eos?.id
            ?? Self.ids("bos_token_id", in: configuration).first
    }

    /// The ids under a key of a configuration, which has one, a list, or none.
    private static func ids(_ key: String, in json: JSON?) -> [Int] {
        for value in [json?[key], json?["text_config"]?[key]] {
            let ids = value?.int.map { [$0] } ?? value?.array?.compactMap(\.int) ?? []
            if !ids.isEmpty { return ids.filter { $0 >= 0 } }
        }
        return []
    }

    /// A special token of the tokenizer's files; its id is nil where the file says that there is none.
    private static func token(
        _ key: String, _ folder: Checkpoint, _ tokenizer: Tokenizer
    ) throws(UserFacingError) -> (id: Int?, file: String)? {
        let files = TokenizerFiles(of: folder.auxiliaryFiles, path: folder.path)
        for name in ["tokenizer_config.json", "special_tokens_map.json"] {
            guard let value = try files.json(name)?[key] else { continue }
            let text = value.string ?? value["content"]?.string
            return (text.flatMap { tokenizer.id(of: $0) }.map(Int.init), name)
        }
        return nil
    }

    /// What there is to say of the end.
    func notes(_ tokenizer: Tokenizer, path: String) -> [String] {
        func spelled(_ end: (id: Int, file: String)) -> String {
            let token = tokenizer.token(of: Int32(clamping: end.id)) ?? "a token without a name"
            return "\(token) (\(end.id), \(end.file))"
        }
        guard let end = ends.first else {
            return [
                """
                \(path): no token is named that ends a text, so the model is not taught where texts end; \
                --end-of-text TOKEN names one
                """
            ]
        }
        let others = ends.dropFirst().map(spelled).joined(separator: ", ")
        if !others.isEmpty {
            return [
                "\(path): texts end with \(spelled(end)); also named are \(others), which --end-of-text would take"
            ]
        }
        guard end.file != Configuration.fileName else { return [] }
        return ["\(path): config.json has no eos_token_id, so texts end with \(spelled(end))"]
    }
}

extension DocumentLayout {
    /// Every token that ends a text when one is generated: all of `eos_token_id` in config.json and
    /// generation_config.json, and where neither names one the tokenizer's `eos_token`.
    static func ends(
        in folder: Checkpoint, tokenizer: Tokenizer
    ) throws(UserFacingError) -> Set<Int32> {
        let ends = try SpecialTokenNames(folder, tokenizer).ends
        let configured = ends.filter { [Configuration.fileName, "generation_config.json"].contains($0.file) }
        return Set((configured.isEmpty ? ends : configured).map { Int32(clamping: $0.id) })
    }
}

extension Tokenizer {
    /// The tokens of a text that is gone on with: what the tokenizer puts before a text, and the text's own, but not
    /// what it puts behind.
    func encodePrompt(_ text: String) throws(UserFacingError) -> [Int32] {
        try encode(text).dropLast(ownTokens().count.behind)
    }

    /// What the tokenizer itself puts before a text, and how many tokens it puts on both sides.
    fileprivate func ownTokens() throws(UserFacingError) -> (before: [Int32], count: DocumentLayout.Own) {
        do {
            let (text, all) = (try encode("a", addSpecialTokens: false), try encode("a"))
            let more = all.count - text.count
            guard more > 0 else { return ([], .init()) }
            let before = (0...more).first { all[$0..<$0 + text.count].elementsEqual(text) } ?? more
            return (Array(all.prefix(before)), .init(before: before, behind: more - before))
        } catch {
            throw error.within("tokenizer.json")
        }
    }
}
