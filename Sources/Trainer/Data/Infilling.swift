package import Formats

/// How documents are turned round, so that a model learns to fill in what is missing between two parts of a text.
///
/// A share of documents is cut in two places, chosen alike among all borders of characters, into prefix, middle and suffix,
/// and the middle comes last. PSM is ⟨PRE⟩ prefix ⟨SUF⟩ suffix ⟨MID⟩ middle ⟨EOT⟩; SPM is ⟨PRE⟩ ⟨SUF⟩ suffix ⟨MID⟩ prefix middle
/// ⟨EOT⟩. All of it is predicted. Nothing is put before suffix and middle that a tokenizer puts before a text, and in SPM
/// prefix and middle are encoded as one, so that no word is spelled in two halves.
///
/// Sources: *Efficient training of language models to fill in the middle* (<https://arxiv.org/abs/2207.14255>, section 3,
/// appendix D: SPM is its variant 2); *Code Llama* (<https://arxiv.org/abs/2308.12950>, section 2.3), whose order and
/// encoding these are, as StarCoder's order is.
public struct Infilling: Codable, Sendable, Hashable {
    /// The share of documents that is turned round, from 0 to 1.
    public var rate: Double
    /// The share of these in which the suffix comes first (SPM), from 0 to 1.
    public var spm: Double
    /// The tokens between the parts.
    public var tokens: InfillingTokens
    /// What chance follows from, with the source's number and the document's.
    public var seed: UInt64
}

/// The tokens that mark the parts of a document that was turned round.
public struct InfillingTokens: Codable, Sendable, Hashable {
    /// What stands before each part.
    public var prefix: Int32, suffix: Int32, middle: Int32
    /// What ends the document in place of the end of text; nil where that ends it.
    public var end: Int32?

    /// What the tokens are called in families that have some; the end is empty where a family has none of its own.
    static let known: [(family: String, prefix: String, suffix: String, middle: String, end: String)] = [
        ("Code Llama", "▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"),
        ("StarCoder, StarCoder 2, Granite", "<fim_prefix>", "<fim_suffix>", "<fim_middle>", ""),
        ("SantaCoder", "<fim-prefix>", "<fim-suffix>", "<fim-middle>", ""),
        ("Qwen, CodeGemma", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", ""),
        ("DeepSeek", "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", ""),
        ("added ones", "<PRE>", "<SUF>", "<MID>", "<EOT>"),
    ]

}

extension InfillingTokens {
    /// The tokens of these names, else those that a tokenizer has for one of the families.
    ///
    /// - Parameters:
    ///   - names: prefix, suffix, middle and, where there is one, end; none takes what is known.
    ///   - tokenizer: the model's.
    ///   - path: the model's folder, for messages.
    ///   - rows: those of the model's embedding.
    /// - Throws: ``UserFacingError`` that names the token that is not there, or says how to add four.
    init(
        _ names: [String], in tokenizer: Tokenizer, path: String, rows: Int
    ) throws(UserFacingError) {
        var names = names
        if names.isEmpty {
            let found = Self.known.first { known in
                [known.prefix, known.suffix, known.middle, known.end].allSatisfy {
                    $0.isEmpty || tokenizer.id(of: $0) != nil
                }
            }
            guard let found else { throw .noInfillingTokens(path: path) }
            names = [found.prefix, found.suffix, found.middle, found.end].filter { !$0.isEmpty }
        }
        var ids: [Int32] = []
        for name in names {
            guard let id = tokenizer.id(of: name) else {
                throw .unknownInfillingToken(path: path, token: name)
            }
            guard id < rows else { throw .tokenOutOfRange(path: path, token: Int(id), vocabularySize: rows) }
            ids.append(id)
        }
        precondition(ids.count >= 3, "a job's names were checked")
        (prefix, suffix, middle, end) = (ids[0], ids[1], ids[2], ids.count > 3 ? ids[3] : nil)
    }

    /// The tokens, in the order of PSM.
    private var ids: [Int32] { [prefix, suffix, middle] + (end.map { [$0] } ?? []) }

    /// How many of some tokens are marks.
    func count(in tokens: [Int32]) -> Int {
        let ids = ids
        return tokens.count { ids.contains($0) }
    }

    /// Refuses tokens that mean something else, or that texts have: where a part ends would not be told from what it says.
    ///
    /// - Parameters:
    ///   - tokenizer: the model's.
    ///   - layout: how documents begin and end.
    ///   - path: the model's folder, for messages.
    /// - Throws: ``UserFacingError`` that names the token.
    func check(in tokenizer: Tokenizer, _ layout: DocumentLayout, path: String) throws(UserFacingError) {
        let roles = [
            (layout.start, "it begins a document"), (layout.end, "it ends one"),
            (tokenizer.unknownID, "it is the unknown token"),
        ]
        for id in ids {
            let name = tokenizer.token(of: id) ?? String(id)
            if let role = roles.first(where: { $0.0 == id })?.1 {
                throw .usedInfillingToken(path: path, token: name, reason: role)
            }
            guard tokenizer.isAdded(id) else {
                throw .usedInfillingToken(
                    path: path, token: name,
                    reason:
                        "it is of the ordinary vocabulary, of which texts are made; a mark is an added token")
            }
        }
    }

    /// The tokens by their names, in the order of PSM.
    func names(in tokenizer: Tokenizer) -> [String] {
        ids.map { tokenizer.token(of: $0) ?? String($0) }
    }
}

/// The turning round of one source's documents.
struct SourceInfilling: Sendable, Hashable {
    let infilling: Infilling
    /// The source's number in its mixture.
    let source: Int
    /// Tokens of a sequence: a longer document would be cut, so that it stays as it is (Code Llama, section 2.3).
    let length: Int

    /// What has become of a document.
    enum Form { case asItIs, psm, spm, tooLong, hasMarks }

    /// A document's tokens, laid out.
    ///
    /// - Parameters:
    ///   - text: its text.
    ///   - index: its number in the source, which decides what becomes of it, in every pass the same.
    ///   - layout: how documents are laid out.
    ///   - tokenizer: what encodes.
    /// - Returns: the tokens; nil where it stays as it is.
    /// - Throws: ``UserFacingError`` when a part can't be encoded.
    func document(
        _ text: String, _ index: Int, _ layout: DocumentLayout, _ tokenizer: Tokenizer
    ) throws(UserFacingError) -> (form: Form, tokens: [Int32]?) {
        let scalars = text.unicodeScalars
        // Apart from the numbers of passes and blocks, which the order of the source follows from.
        var chance = generator(
            seed: infilling.seed, source: source, stream: 0xF111_0000_0000_0000 | UInt64(index))
        func share() -> Double { Double(chance.next() >> 11) * 0x1p-53 }
        let (isTurned, isSPM) = (share() < infilling.rate, share() < infilling.spm)
        guard isTurned, !text.isEmpty else { return (.asItIs, nil) }
        let borders = UInt64(scalars.count + 1)
        let cuts = [Int(chance.next() % borders), Int(chance.next() % borders)].sorted()
        let first = scalars.index(scalars.startIndex, offsetBy: cuts[0])
        let second = scalars.index(first, offsetBy: cuts[1] - cuts[0])
        let continuing = tokenizer.continuing
        let suffix = try continuing.encode(String(scalars[second...]), addSpecialTokens: false)
        let marks = infilling.tokens
        let body: [Int32]
        if isSPM {
            let rest = try tokenizer.encode(String(scalars[..<second]), addSpecialTokens: false)
            body = [marks.prefix, marks.suffix] + suffix + [marks.middle] + rest
        } else {
            let prefix = try tokenizer.encode(String(scalars[..<first]), addSpecialTokens: false)
            let middle = try continuing.encode(String(scalars[first..<second]), addSpecialTokens: false)
            body = [marks.prefix] + prefix + [marks.suffix] + suffix + [marks.middle] + middle
        }
        guard marks.count(in: body) == 3 else { return (.hasMarks, nil) }
        let document = layout.document(ofText: body, end: marks.end)
        return document.count <= length ? (isSPM ? .spm : .psm, document) : (.tooLong, nil)
    }
}

/// How many documents of a source are turned round for infilling.
public struct InfilledDocuments: Sendable, Equatable {
    /// What the source is called, and how many documents it has.
    public let name: String, documents: Int
    /// Those with the prefix first, and those with the suffix first.
    public let psm: Int, spm: Int
}

extension OpenedSource {
    /// How many documents are turned round.
    var infilled: InfilledDocuments {
        InfilledDocuments(name: source.name, documents: size.documents, psm: size.psm, spm: size.spm)
    }

    /// What there is to say of documents that are not turned round though they should be.
    func warnings(ofSequences length: Int) -> [String] {
        let reasons = [
            (
                size.tooLong,
                "for they are longer than a sequence of \(Units.grouped(length)) tokens, which would cut them; a higher --length, or shorter documents, would help"
            ),
            (
                size.hasMarks,
                "for they spell one of its tokens themselves; leave them out, or name other tokens"
            ),
        ]
        return reasons.filter { $0.0 > 0 }.map { count, reason in
            """
            \(source.path): \(Units.grouped(count)) of \(Units.grouped(size.documents)) documents are not turned round for \
            infilling, \(reason)
            """
        }
    }
}

extension Tokenizer {
    /// Refuses a tokenizer that changes texts, so that the parts of one would not be the text again.
    func checkInfilling(path: String) throws(UserFacingError) {
        let first = try encode("a", addSpecialTokens: false)
        for part in ["b", " b", "  b", "\n\tb ", "B\u{E9}"] {
            let tokens = try continuing.encode(part, addSpecialTokens: false)
            guard decode(first + tokens).utf8.elementsEqual("a\(part)".utf8) else {
                throw .changingTokenizer(path: path, part: part)
            }
        }
    }
}

// Why documents can't be turned round.
extension UserFacingError {
    /// The tokenizer has no tokens for it.
    package static func noInfillingTokens(path: String) -> Self {
        let known = InfillingTokens.known.map(\.prefix).joined(separator: ", ")
        return Self(
            .missing,
            """
            \(path): its tokenizer has no tokens for infilling that are known (\(known) …). Name its own with --infill-tokens \
            PREFIX SUFFIX MIDDLE [END], or add four: a file with the lines <PRE>, <SUF>, <MID>, <EOT>, and surgery \
            resize-vocab --tokens FILE --tokens-as special
            """)
    }

    /// A token that was named is not there.
    package static func unknownInfillingToken(path: String, token: String) -> Self {
        Self(
            .missing,
            "\(path): its tokenizer has no token '\(token)' for infilling; name tokens as tokenizer.json spells them"
        )
    }

    /// A token that was named means something else.
    package static func usedInfillingToken(path: String, token: String, reason: String) -> Self {
        Self(
            .request,
            """
            \(path): '\(token)' can't be a token of infilling, for \(reason). Name others with --infill-tokens, or add four: a \
            file with the lines <PRE>, <SUF>, <MID>, <EOT>, and surgery resize-vocab --tokens FILE --tokens-as special
            """)
    }

    /// The tokenizer does not keep texts as they are.
    package static func changingTokenizer(path: String, part: String) -> Self {
        Self(
            .unsupported,
            """
            \(path): infilling puts parts of a text together, and its tokenizer does not keep \(JSON(part).text) behind \
            another part as it is; leave --infill out
            """)
    }

    /// Tokens can't be cut at characters.
    package static func infillingOfTokens(path: String) -> Self {
        Self(
            .unsupported,
            "\(path): infilling cuts texts at their characters, and these are tokens; give the text, or leave --infill out"
        )
    }
}
