/// The ids that transformers' `AutoTokenizer` gives the tokens of a tokenizer's files.
///
/// Files name ids, but an added token gets its own only when it is loaded: the one that the vocabulary has, else the
/// next that is free. So what a file says can be wrong, and two files can mean one id for two tokens.
///
/// Source: transformers 5.24 (`PreTrainedTokenizerBase._from_pretrained`, `TokenizersBackend.__init__`) and tokenizers 0.23
/// (`AddedVocabulary::add_tokens`).
struct TokenNumbering {
    /// A token that a file gives an id.
    private struct Statement {
        let file: String
        let token: String
        let id: Int
        /// How it is added, as tokenizer_config.json has it.
        let settings: JSON
    }

    /// Tokens of other files that tokenizer.json lacks among its added ones, in the order of their ids, as elements of
    /// its `added_tokens`.
    let additions: [JSON]
    /// Where files and what is loaded differ, a sentence each that names two files and the id.
    let disagreements: [String]

    private static let main = "tokenizer.json"
    private static let config = "tokenizer_config.json"

    /// Numbers the tokens.
    ///
    /// - Parameters:
    ///   - files: the files.
    ///   - root: the content of tokenizer.json.
    ///   - tokenizer: what it says by itself.
    /// - Throws: ``UserFacingError`` when another file can't be read.
    init(_ files: TokenizerFiles, _ root: JSON, _ tokenizer: Tokenizer) throws(UserFacingError) {
        let own = Self.elements(of: root)
        let decoder = try files.json(Self.config)?["added_tokens_decoder"]?.object
        let listed = try files.json("added_tokens.json")?.object ?? JSONObject()
        let names = try files.namedTokens()
        let special = Set((names.roles.values.map { $0 } + names.extra).compactMap(Self.text))
        let separate = listed.compactMap { token, id in
            id.int.map {
                Statement(
                    file: "added_tokens.json", token: token, id: $0,
                    settings: Self.settings(token, isSpecial: special.contains(token)))
            }
        }
        var stated = decoder.map { Self.statements($0) } ?? separate + own
        // Of an id that two files name, tokenizer.json's token counts.
        if decoder == nil {
            stated = Dictionary(stated.map { ($0.id, $0) }, uniquingKeysWith: { $1 }).values.map { $0 }
        }
        stated.sort { $0.id < $1.id }

        var numbers = Numbers(tokenizer)
        for token in own { numbers.add(token.token) }
        var added = Set(own.map { JSONKey($0.token) })
        var additions: [(id: Int, json: JSON)] = []
        func add(_ token: String, _ settings: JSON) {
            let id = numbers.add(token)
            if added.insert(JSONKey(token)).inserted {
                additions.append((id, Self.element(id, token, settings)))
            }
        }
        for token in stated { add(token.token, token.settings) }
        for value in names.inOrder {
            guard let text = Self.text(value), numbers.id(of: text) == nil else { continue }
            add(text, value.object != nil ? value : Self.settings(text, isSpecial: true))
        }
        self.additions = additions.sorted { $0.id < $1.id }.map(\.json)

        var disagreements: [String] = []
        for token in own + (decoder.map { Self.statements($0) } ?? []) + separate {
            if let sentence = numbers.disagreement(with: token.file, token.token, token.id) {
                disagreements.append(sentence)
            }
        }
        disagreements += Self.rebuilt(
            stated, own, names.inOrder.compactMap(Self.text), numbers, tokenizer)
        for (file, tokens) in [
            ("vocab.json", try Self.vocabulary(files)), ("tokenizer.model", try Self.pieces(files)),
        ] {
            let wrong = tokens.lazy.compactMap {
                numbers.disagreement(with: file, $0.token, $0.id, isCopy: true)
            }
            if let first = wrong.first { disagreements.append(first) }
        }
        self.disagreements = disagreements
    }

    // MARK: What the files say

    /// The added tokens of tokenizer.json in their order.
    private static func elements(of root: JSON) -> [Statement] {
        (root["added_tokens"]?.array ?? []).compactMap { element in
            guard let token = element["content"]?.string, let id = element["id"]?.int else { return nil }
            return Statement(file: main, token: token, id: id, settings: element)
        }
    }

    private static func statements(_ decoder: JSONObject) -> [Statement] {
        decoder.compactMap { key, value in
            guard let id = Int(key), let token = text(value) else { return nil }
            return Statement(
                file: "\(config) (added_tokens_decoder)", token: token, id: id, settings: value)
        }
    }

    /// The tokens of vocab.json.
    private static func vocabulary(
        _ files: TokenizerFiles
    ) throws(UserFacingError) -> [(token: String, id: Int)] {
        try files.json("vocab.json")?.object?.compactMap { token, id in id.int.map { (token, $0) } } ?? []
    }

    /// The pieces of tokenizer.model; none where it is of another kind.
    private static func pieces(_ files: TokenizerFiles) throws(UserFacingError) -> [(token: String, id: Int)]
    {
        guard let bytes = try files.bytes("tokenizer.model"),
            let model = try? SentencePieceModel(bytes, file: "tokenizer.model")
        else { return [] }
        return model.pieces.enumerated().map { ($1.text, $0) }
    }

    /// The text of a token that stands as text or as an object.
    private static func text(_ value: JSON) -> String? { value.string ?? value["content"]?.string }

    private static func settings(_ token: String, isSpecial: Bool) -> JSON {
        VocabularyExtension.AddedToken(id: 0, content: token, isSpecial: isSpecial).settings
    }

    /// A token as `added_tokens` of tokenizer.json has it.
    private static func element(_ id: Int, _ token: String, _ settings: JSON) -> JSON {
        var object = JSONObject()
        object["id"] = JSON(id)
        object["content"] = .string(token)
        for key in ["single_word", "lstrip", "rstrip"] { object[key] = settings[key] ?? false }
        let isSpecial = settings["special"]?.bool ?? true
        object["normalized"] = settings["normalized"] ?? .bool(!isSpecial)
        object["special"] = .bool(isSpecial)
        return .object(object)
    }

    // MARK: What is loaded

    /// What differs where a class makes its tokenizer of the vocabulary alone and adds what the other files list.
    private static func rebuilt(
        _ stated: [Statement], _ own: [Statement], _ named: [String], _ numbers: Numbers,
        _ tokenizer: Tokenizer
    ) -> [String] {
        var again = Numbers(tokenizer)
        for token in stated { again.add(token.token) }
        for token in named where again.id(of: token) == nil { again.add(token) }
        return own.compactMap { token in
            guard let other = again.token(of: token.id), JSONKey(other) != JSONKey(token.token) else {
                return nil
            }
            return
                "\(main) gives \"\(token.token)\" the id \(token.id), but \(config) names \"\(other)\" and not "
                + "that token, so a class of transformers that adds its tokens anew gives the id to \"\(other)\""
        }
    }

    /// Ids as they are given when a tokenizer is loaded.
    private struct Numbers {
        private let tokenizer: Tokenizer
        private let modelCount: Int
        private var added: [JSONKey: Int] = [:]
        private var tokens: [Int: String] = [:]
        private var largest = -1

        init(_ tokenizer: Tokenizer) {
            self.tokenizer = tokenizer
            modelCount = tokenizer.vocabulary.modelIDs.reduce(0) { count, _ in count + 1 }
        }

        /// The id of a token; nil when there is none.
        func id(of token: String) -> Int? {
            added[JSONKey(token)] ?? tokenizer.vocabulary.modelID(of: token.utf8.span).map(Int.init)
        }

        /// The token of an id; nil when it is free.
        func token(of id: Int) -> String? {
            if let token = tokens[id] { return token }
            guard let token = Int32(exactly: id).flatMap({ tokenizer.token(of: $0) }),
                tokenizer.vocabulary.modelID(of: token.utf8.span).map(Int.init) == id
            else { return nil }
            return token
        }

        /// Whether an id is that of an added token.
        func isAdded(_ id: Int) -> Bool { tokens[id] != nil }

        /// Adds a token as tokenizers does: under the id that it has, else behind all others.
        @discardableResult mutating func add(_ token: String) -> Int {
            let id = id(of: token) ?? (largest >= modelCount || modelCount == 0 ? largest + 1 : modelCount)
            added[JSONKey(token)] = id
            tokens[id] = token
            largest = max(largest, id)
            return id
        }

        /// What is wrong with what a file says of a token; nil when it is so.
        ///
        /// A copy of the vocabulary may have another name for a token that an added one has taken the place of.
        func disagreement(
            with file: String, _ token: String, _ stated: Int, isCopy: Bool = false
        ) -> String? {
            let loaded = id(of: token)
            if loaded == stated { return nil }
            if isCopy, loaded == nil, isAdded(stated) { return nil }
            let says = "\(file) gives \"\(token)\" the id \(stated)"
            let behind = loaded.map { ", so transformers gives it \($0)" } ?? ""
            if let other = self.token(of: stated) {
                return
                    "\(says), but in \(file == main ? "the list's order" : main) that is \"\(other)\"\(behind)"
            }
            guard let loaded else { return "\(says), but \(main) and what is loaded with it do not have it" }
            return
                "\(says), but by \(file == main ? "the order of its list" : main) it is \(loaded), which is what "
                + "transformers gives it"
        }
    }
}

extension TokenizerFiles {
    /// The special tokens that tokenizer_config.json and special_tokens_map.json name, by what they are for and others.
    ///
    /// The map counts where the configuration does not list its added tokens itself.
    func namedTokens() throws(UserFacingError) -> NamedTokens {
        let configuration = try json("tokenizer_config.json")?.object ?? JSONObject()
        var named = NamedTokens()
        for (key, value) in configuration where key.hasSuffix("_token") {
            let isRole = NamedTokens.common.contains(key)
            guard value.string != nil || isRole && value["content"] != nil else { continue }
            named.roles[key] = value
        }
        let lists = ["extra_special_tokens", "additional_special_tokens"].compactMap { configuration[$0] }
        named.extra = lists.first { !($0.array?.isEmpty ?? true) }?.array ?? []
        for (key, value) in lists.first?.object ?? JSONObject() { named.roles[key] = value }
        guard configuration["added_tokens_decoder"] == nil,
            let map = try json("special_tokens_map.json")?.object
        else { return named }
        for (key, value) in map {
            if key.hasSuffix("_token") { named.roles[key] = value }
            if key == "additional_special_tokens", named.extra.isEmpty { named.extra = value.array ?? [] }
            if key == "extra_special_tokens" { named.extra += value.array ?? [] }
        }
        return named
    }
}

/// Tokens that files name without an id.
struct NamedTokens {
    /// The keys that every class of transformers knows, in the order in which it adds their tokens.
    static let common = [
        "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
    ]

    /// The token of each key, as `eos_token`.
    var roles = JSONObject()
    /// Tokens that have no key.
    var extra: [JSON] = []

    /// All of them in the order in which they are added.
    var inOrder: [JSON] {
        Self.common.compactMap { roles[$0] } + roles.filter { !Self.common.contains($0.key) }.map(\.value)
            + extra
    }
}
