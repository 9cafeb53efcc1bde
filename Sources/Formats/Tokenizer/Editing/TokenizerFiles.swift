/// The files of a model's folder that describe its tokenizer, as they are edited together.
public struct TokenizerFiles: Sendable {
    /// The names of the files that follow when tokens are added.
    private static let edited = [
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "vocab.json", "merges.txt", "tokenizer.model",
    ]
    /// Every name that a tokenizer's file has; the chat template is not among them, for it belongs to the model.
    ///
    /// Of files of tiktoken's and of versions of Mistral's, only the ends and beginnings are known: see ``isName(_:)``.
    public static let names =
        edited + [
            "vocab.txt", "spiece.model", "sentencepiece.bpe.model", "tekken.json", "tiktoken.model",
            "tokenizer.tiktoken",
        ]

    /// Whether a file's name is that of a tokenizer's.
    public static func isName(_ name: String) -> Bool {
        names.contains(name) || name.hasSuffix(".tiktoken") || name.hasPrefix("tokenizer.model.")
    }

    /// The model, for messages.
    package let path: String
    /// The files by name, in the folder's order.
    public private(set) var auxiliaryFiles: [AuxiliaryFile]
    /// The model's chat template, which says what tokens it needs.
    private let templates: [AuxiliaryFile]

    /// The tokenizer's files among those of a model.
    public init(of auxiliaryFiles: [AuxiliaryFile], path: String) {
        self.path = path
        self.auxiliaryFiles = auxiliaryFiles.filter { Self.isName($0.name) }
        templates = auxiliaryFiles.filter { $0.name.hasPrefix("chat_template.") }
    }

    /// Whether there is no tokenizer.json.
    public var isEmpty: Bool { !auxiliaryFiles.contains { $0.name == "tokenizer.json" } }

    /// The file of a name, read; nil when there is none.
    package func bytes(_ name: String) throws(UserFacingError) -> [UInt8]? {
        guard let auxiliaryFile = auxiliaryFiles.first(where: { $0.name == name }) else { return nil }
        return try auxiliaryFile.bytes()
    }

    /// A file of a name as JSON; nil when there is none.
    package func json(_ name: String) throws(UserFacingError) -> JSON? {
        guard let bytes = try bytes(name) else { return nil }
        return try JSON(parsing: bytes, file: Path.join(path, name), duplicates: .refused)
    }

    /// What the files are when they are loaded.
    public struct Loaded {
        /// The tokenizer, its tokens numbered as transformers' `AutoTokenizer` does; that of tokenizer.json alone where
        /// files disagree.
        public let tokenizer: Tokenizer
        /// What the files say of ids that does not hold, a sentence each that names two files and the id.
        public let disagreements: [String]
        /// tokenizer.json with every token that the other files add to it.
        let main: JSON
        /// What the other files change of how tokenizer.json encodes text; nothing where they change nothing.
        package var changes = JSONObject()
    }

    /// Loads the files.
    ///
    /// - Throws: ``UserFacingError`` when there is no tokenizer.json, or a file can't be used.
    public func loaded() throws(UserFacingError) -> Loaded {
        guard let bytes = try bytes("tokenizer.json") else { throw .noTokenizer(path: path, besides: others) }
        let file = Path.join(path, "tokenizer.json")
        let json = try JSON(parsing: bytes, file: file, duplicates: .refused)
        let settings = try self.json("tokenizer_config.json")
        var mended: (name: String, change: (inout JSON) -> Void)?
        func tokenizer(_ json: JSON, _ bytes: [UInt8]) throws(UserFacingError) -> Tokenizer {
            var tokenizer = try Tokenizer(json: json, bytes: bytes, file: file, mended: mended)
            tokenizer.splitsSpecialTokens = settings?["split_special_tokens"]?.bool == true
            return tokenizer
        }
        var alone = try tokenizer(json, bytes)
        if settings?["fix_mistral_regex"]?.isTrueInPython == true, try mistralPatternApplies(to: alone) {
            mended = ("fix_mistral_regex", MistralPattern.mend)
            alone = try tokenizer(json, bytes)
        }
        var changes = JSONObject()
        if alone.splitsSpecialTokens { changes["split_special_tokens"] = true }
        if let mended { changes[mended.name] = true }
        let numbering = try TokenNumbering(self, json, alone)
        guard numbering.disagreements.isEmpty, !numbering.additions.isEmpty, var object = json.object else {
            return Loaded(
                tokenizer: alone, disagreements: numbering.disagreements, main: json, changes: changes)
        }
        changes["added_tokens"] = .array(numbering.additions)
        object["added_tokens"] = .array((object["added_tokens"]?.array ?? []) + numbering.additions)
        let main = JSON.object(object)
        return Loaded(
            tokenizer: try tokenizer(main, main.serialized(laidOutLike: bytes)), disagreements: [],
            main: main,
            changes: changes)
    }

    /// What the files are when they are loaded, where they agree.
    ///
    /// - Throws: ``UserFacingError`` when they do not, there is no tokenizer.json, or a file can't be used.
    func agreeing() throws(UserFacingError) -> Loaded {
        let loaded = try loaded()
        if let first = loaded.disagreements.first { throw .disagreement(path: path, first) }
        return loaded
    }

    /// The tokenizer that they describe; that of tokenizer.json alone where files disagree.
    ///
    /// - Throws: ``UserFacingError`` when there is none, or it can't be used.
    public func tokenizer() throws(UserFacingError) -> Tokenizer { try loaded().tokenizer }

    /// The tokenizer that they describe, where they agree.
    ///
    /// - Throws: ``UserFacingError`` when they do not, there is none, or it can't be used.
    public func agreeingTokenizer() throws(UserFacingError) -> Tokenizer { try agreeing().tokenizer }

    /// How many rows a model must have for this tokenizer.
    ///
    /// An added token needs none as long as it never comes: it does where it is unknown, begins or ends a text, or stands
    /// in the chat template.
    public func neededRows(_ tokenizer: Tokenizer) throws(UserFacingError) -> Int {
        var needed = tokenizer.plainCount
        guard needed <= tokenizer.largestID else { return needed }
        let special = try specialTokens(tokenizer)
        for role in ["bos", "eos", "unk"] { needed = max(needed, (special[role] ?? -1) + 1) }
        let template = try chatTemplate()
        for id in needed..<max(tokenizer.largestID + 1, needed) {
            guard let token = tokenizer.token(of: Int32(id)), template.contains(token) else { continue }
            needed = id + 1
        }
        return needed
    }

    private func chatTemplate() throws(UserFacingError) -> String {
        let setting = try json("tokenizer_config.json")?["chat_template"]
        var text =
            setting?.string ?? setting.map { String(decoding: $0.serialized(indent: nil), as: UTF8.self) }
            ?? ""
        for file in templates { text += String(decoding: try file.bytes(), as: UTF8.self) }
        return text
    }

    /// Whether `fix_mistral_regex` applies: to a large vocabulary that divides text, beside the configuration of one of
    /// Mistral's models from before version 5 of transformers.
    ///
    /// Source: transformers 5.24, `_patch_mistral_regex` of tokenization_utils_tokenizers.py.
    private func mistralPatternApplies(to tokenizer: Tokenizer) throws(UserFacingError) -> Bool {
        let file = Path.join(path, Configuration.fileName)
        let divides = !tokenizer.preTokenizer.steps.isEmpty || tokenizer.preTokenizer.endsInBytes
        guard divides, tokenizer.largestID + 1 > 100_000, FileSystem.kind(of: file) == .file else {
            return false
        }
        let configuration = try JSON.read(path: file)
        if let version = configuration["transformers_version"]?.string, !version.isEmpty {
            guard Self.isBeforeFive(version) else { return false }
        }
        guard let type = configuration["model_type"]?.string else { return true }
        return ["mistral", "mistral3", "voxtral", "ministral", "pixtral"].contains(type)
    }

    /// Files that describe a tokenizer in other terms.
    private var others: [String] {
        auxiliaryFiles.map(\.name).filter { !$0.hasSuffix("config.json") && $0 != "special_tokens_map.json" }
    }

    /// Replaces a file's content.
    package mutating func replace(_ name: String, with bytes: [UInt8]) {
        guard let index = auxiliaryFiles.firstIndex(where: { $0.name == name }) else { return }
        auxiliaryFiles[index].content = .bytes(bytes)
    }

    /// Replaces a JSON file's content, laid out as it was.
    mutating func replace(_ name: String, with json: JSON) throws(UserFacingError) {
        guard let old = try bytes(name) else { return }
        replace(name, with: json.serialized(laidOutLike: old))
    }
}

extension TokenizerFiles {
    /// Whether a version comes before 5.0.0, as 4.57.1 and 5.0.0.dev0 do.
    private static func isBeforeFive(_ version: String) -> Bool {
        let release = version.prefix { $0.isNumber || $0 == "." }
        let numbers = release.split(separator: ".").compactMap { Int($0) }
        guard let major = numbers.first, major >= 5 else { return true }
        let suffix = version.dropFirst(release.count).drop { "-_.".contains($0) }
        return major == 5 && numbers.dropFirst().allSatisfy { $0 == 0 }
            && ["dev", "a", "b", "c", "rc", "pre"].contains { suffix.hasPrefix($0) }
    }
}

extension JSON {
    /// Whether Python's `if` takes it for true.
    fileprivate var isTrueInPython: Bool {
        switch self {
        case .null: false
        case .bool(let value): value
        case .number(let value): value.double != 0
        case .string(let value): !value.isEmpty
        case .array(let value): !value.isEmpty
        case .object(let value): !value.isEmpty
        }
    }
}

extension [AuxiliaryFile] {
    /// The same files with a tokenizer's in place of those that are there.
    public func replacing(tokenizer files: TokenizerFiles) -> [AuxiliaryFile] {
        var result: [AuxiliaryFile] = []
        let names = Set(files.auxiliaryFiles.map(\.name))
        for auxiliaryFile in self
        where !TokenizerFiles.isName(auxiliaryFile.name) || names.contains(auxiliaryFile.name) {
            result.append(files.auxiliaryFiles.first { $0.name == auxiliaryFile.name } ?? auxiliaryFile)
        }
        let there = Set(result.map(\.name))
        return result + files.auxiliaryFiles.filter { !there.contains($0.name) }
    }
}

extension TokenizerFiles {
    /// The ids of the special tokens that the files name, by what they are for: `bos`, `eos`, `pad` and so on.
    ///
    /// - Throws: ``UserFacingError`` when a file can't be read.
    public func specialTokens(_ tokenizer: Tokenizer) throws(UserFacingError) -> [String: Int] {
        var ids: [String: Int] = [:]
        for (key, value) in try namedTokens().roles {
            guard let text = value.string ?? value["content"]?.string, let id = tokenizer.id(of: text) else {
                continue
            }
            ids[String(key.dropLast("_token".count))] = Int(id)
        }
        return ids
    }

    /// Files that can't be given more tokens, and would contradict those that can.
    public var notFollowing: [String] {
        auxiliaryFiles.map(\.name).filter { name in
            // The word pieces of vocab.txt are those of the model alone, which stay.
            if name == "vocab.txt" { return false }
            return !Self.edited.contains(name) || name == "tokenizer.model" && !isSentencePiece(name)
        }
    }

    private func isSentencePiece(_ name: String) -> Bool {
        guard let bytes = try? bytes(name) else { return false }
        return (try? SentencePieceModel(bytes, file: name)) != nil
    }

    /// The files without some.
    mutating func remove(_ names: [String]) { auxiliaryFiles.removeAll { names.contains($0.name) } }

    /// How many ids the files take, with the file that has the largest, where tokenizer.json does not say it; nil
    /// where no file says.
    ///
    /// - Throws: ``UserFacingError`` when a file can't be read.
    public func countWithoutMain() throws(UserFacingError) -> (count: Int, file: String)? {
        var found: [(count: Int, file: String)] = []
        for auxiliaryFile in auxiliaryFiles {
            if let count = try count(in: auxiliaryFile), count > 0 {
                found.append((count, auxiliaryFile.name))
            }
        }
        return found.max { $0.count < $1.count }
    }

    private func count(in auxiliaryFile: AuxiliaryFile) throws(UserFacingError) -> Int? {
        func next(_ ids: [Int]) -> Int? { ids.max().map { $0 + 1 } }
        let name = auxiliaryFile.name
        switch name {
        case "vocab.json", "added_tokens.json":
            return next(try json(name)?.object?.values.compactMap(\.int) ?? [])
        case "tokenizer_config.json":
            return next(try json(name)?["added_tokens_decoder"]?.object?.keys.compactMap { Int($0) } ?? [])
        case "tekken.json":
            let json = try json(name)
            return json?["config"]?["default_vocab_size"]?.int ?? json?["vocab"]?.array?.count
        case "merges.txt", "special_tokens_map.json": return nil
        default: break
        }
        let bytes = try auxiliaryFile.bytes()
        if let model = try? SentencePieceModel(bytes, file: name) { return model.count }
        let lines = bytes.split(separator: UInt8(ascii: "\n"))
        // A line of vocab.txt is a token; one of tiktoken's has the token's bytes and its id.
        if name == "vocab.txt" { return lines.count }
        return next(
            lines.compactMap { line in
                line.split(separator: UInt8(ascii: " ")).last.flatMap {
                    Int(String(decoding: $0, as: UTF8.self))
                }
            })
    }
}

extension AuxiliaryFile {
    /// The file's bytes, and the JSON in them.
    ///
    /// - Throws: ``UserFacingError`` when it can't be read or is not JSON.
    package func json() throws(UserFacingError) -> (bytes: [UInt8], json: JSON) {
        let bytes = try self.bytes()
        return (bytes, try JSON(parsing: bytes, file: name, duplicates: .refused))
    }
}

/// The pattern by which Mistral's own tokenizer divides text, which an early conversion of it got wrong.
///
/// Source: transformers 5.24, `_patch_mistral_regex` of tokenization_utils_tokenizers.py.
private enum MistralPattern {
    /// Words by their letters' case, single digits, and the rest.
    private static let words =
        #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"#
        + #"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"#
        + #"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

    /// Puts the pattern into a tokenizer.json: in place of the first of several steps, else before the only one.
    static func mend(_ tokenizer: inout JSON) {
        guard let step = tokenizer["pre_tokenizer"], !step.isNull else { return }
        let split: JSON = [
            "type": "Split", "pattern": ["Regex": .string(words)], "behavior": "Isolated", "invert": false,
        ]
        var steps: [JSON]
        if step["type"]?.string == "Sequence" {
            steps = [split] + (step["pretokenizers"]?.array ?? []).dropFirst()
        } else if step["type"]?.string == "Metaspace" {
            // "▁" is not put for spaces before a text is divided.
            steps = [
                split,
                ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false],
            ]
        } else {
            steps = [split, step]
        }
        tokenizer["pre_tokenizer"] = ["type": "Sequence", "pretokenizers": .array(steps)]
    }
}
