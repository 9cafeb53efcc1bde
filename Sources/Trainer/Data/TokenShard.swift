internal import Formats

/// Which shard of a folder of packed tokens a file is, how the folder was made, and what was found on the way.
struct TokenShard: Sendable {
    /// What a shard is called: `tokens-00003-of-00012.safetensors`, counted from 0.
    struct Name: Sendable, Hashable {
        let number: Int
        let count: Int

        init(number: Int, count: Int) { (self.number, self.count) = (number, count) }

        /// The shard of a file's name; nil for other names.
        init?(_ name: String) {
            let parts = name.split(separator: "-", omittingEmptySubsequences: false)
            guard parts.count == 4, parts[3].hasSuffix(PackedFile.ending), let number = Int(parts[1]),
                let count = Int(parts[3].dropLast(PackedFile.ending.count)), (0..<count).contains(number)
            else { return nil }
            self.init(number: number, count: count)
            guard text == name else { return nil }
        }

        /// The name in a file system.
        var text: String { "\(stem)\(PackedFile.ending)" }
        /// The name without its ending.
        var stem: String { "tokens-\(Self.padded(number))-of-\(Self.padded(count))" }

        private static func padded(_ number: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
        }
    }

    /// All that decides what the tokens of a folder are, besides the tokenizer.
    struct Settings: Sendable, Equatable, Codable {
        /// What decides the order.
        var seed: UInt64
        /// About how many bytes of text a shard is made of.
        var shardBytes: Int
        var textKey: String
        var nfc: Bool
        var skipBadLines: Bool
        var plainText: Bool
        /// The SHA-256 of the list of source files: their names, sizes and times.
        var sources: String

        enum CodingKeys: String, CodingKey, CaseIterable {
            case seed, nfc, sources
            case shardBytes = "shard_bytes"
            case textKey = "text_key"
            case skipBadLines = "skip_bad_lines"
            case plainText = "plain_text"
        }
    }

    /// Its name.
    let name: Name
    /// How the folder was made.
    let settings: Settings
    /// What was counted in its texts.
    let findings: TextFindings

    /// The names of the metadata.
    private enum Key {
        static let number = "shard"
        static let count = "shards"
        static let settings = "settings"
        static let findings = "findings"
    }

    init(name: Name, settings: Settings, findings: TextFindings) {
        (self.name, self.settings, self.findings) = (name, settings, findings)
    }

    /// What a file says of itself; nil where it is none of a folder.
    init?(_ metadata: [String: String], path: String) throws(UserFacingError) {
        guard let number = metadata[Key.number] else { return nil }
        func json(_ key: String) throws(UserFacingError) -> JSON {
            guard let text = metadata[key], let json = try? JSON(parsing: Array(text.utf8), file: path) else {
                throw .badTokens(path: path, found: "a shard without '\(key)'")
            }
            return json
        }
        guard let count = Int(metadata[Key.count] ?? ""), let number = Int(number),
            let settings = try? json(Key.settings).decoded(as: Settings.self)
        else { throw .badTokens(path: path, found: "a shard that does not say which and of what") }
        name = Name(number: number, count: count)
        self.settings = settings
        findings = TextFindings(counts: try json(Key.findings))
    }

    /// What a file says of itself.
    var metadata: [String: String] {
        [
            Key.number: String(name.number), Key.count: String(name.count),
            Key.settings: settings.json.text, Key.findings: findings.counts.text,
        ]
    }
}

extension TokenShard.Settings {
    /// The settings as the coding keys have them.
    var json: JSON {
        // Numbers, flags and strings, which any encoder takes.
        (try? JSON(encoding: self)) ?? .null
    }

    /// What differs from other settings, as in "the seed (1, not 0)"; nil where nothing does.
    func difference(from other: Self) -> String? {
        let (own, others) = (json, other.json)
        for key in CodingKeys.allCases where own[key.stringValue] != others[key.stringValue] {
            switch key {
            case .sources: return "other source files, or files that were changed since"
            default:
                return
                    "another \(key.stringValue) (\(own[key.stringValue]?.text ?? ""), not \(others[key.stringValue]?.text ?? ""))"
            }
        }
        return nil
    }
}

extension PackedFile {
    /// Refuses a file that is not the shard that it is called, or was made otherwise than another one.
    func checkShard(_ name: TokenShard.Name, like other: PackedFile?) throws(UserFacingError) {
        guard let shard, shard.name == name else {
            throw .badTokens(path: path, found: "a file that is not the shard of its name")
        }
        guard let other else { return }
        if tokenizer != other.tokenizer {
            throw .otherTokenizer(path: path, found: tokenizer, expected: other.tokenizer)
        }
        if let settings = other.shard?.settings, let difference = shard.settings.difference(from: settings) {
            throw .otherSettings(
                path: path, difference: difference,
                advice: "all shards of a folder have to be of one making; make this one again")
        }
    }
}

extension UserFacingError {
    /// Shards of two makings lie in one folder.
    static func otherShards(path: String, _ first: String, _ second: String) -> Self {
        Self(
            .inconsistent,
            "\(path): \(first) and \(second) are shards of two folders; keep those of one making in it")
    }

    /// A folder has not all of its shards.
    static func missingShards(path: String, _ missing: [String], of count: Int) -> Self {
        let others = missing.count > 1 ? " and \(missing.count - 1) more" : ""
        return Self(
            .missing,
            """
            \(path): \(missing.first ?? "")\(others) of \(count) shards \(missing.count > 1 ? "are" : "is") not there; run \
            `trainer tokenize` again, which makes what is missing, or copy what other machines have made here
            """)
    }

    /// A shard was made otherwise.
    static func otherSettings(path: String, difference: String, advice: String) -> Self {
        Self(.inconsistent, "\(path): it was made with \(difference); \(advice)")
    }
}
