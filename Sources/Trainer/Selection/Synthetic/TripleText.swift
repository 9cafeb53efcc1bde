internal import Formats

/// Triples that become text: the files, the templates, and in how many wordings.
public struct TripleText: Sendable {
    /// Files of triples.
    public var files: [String]
    /// The file of templates.
    public var templates: String
    /// How many documents are made of the same triples, each with another template of a relation that has several; nil for as many
    /// as the relation with most templates has.
    public var wordings: Int?

    /// Triples and their templates, in one wording.
    public init(files: [String], templates: String, wordings: Int? = 1) {
        (self.files, self.templates, self.wordings) = (files, templates, wordings)
    }

    /// The most triples of a document.
    static let mostTriples = 20

    /// How many documents are made of the same triples with these templates.
    func wordings(of templates: TripleTemplates) -> Int { wordings ?? templates.most }

    /// As the settings have it.
    var json: JSON {
        ["wordings": wordings.map { JSON($0) } ?? .null]
    }
}

/// What became of triples.
struct TripleFigures: Codable, Sendable, Equatable {
    /// The triples that are told, and those that stand in the same document already.
    var triples = 0, repeated = 0
    /// Lines that were passed over, and why the first of them was.
    var skipped = 0
    var firstSkipped: String?
    /// Particles with both forms.
    var undecided = 0

    mutating func add(_ other: Self) {
        triples += other.triples
        repeated += other.repeated
        skipped += other.skipped
        firstSkipped = firstSkipped ?? other.firstSkipped
        undecided += other.undecided
    }

    /// As the report has it.
    var json: JSON {
        [
            "triples": JSON(triples), "repeated": JSON(repeated), "skipped": JSON(skipped),
            "undecided_particles": JSON(undecided),
        ]
    }

    /// What whoever trains on the text should know, a sentence each.
    var warnings: [String] {
        var warnings: [String] = []
        if skipped > 0 {
            warnings.append(
                "lines of triples passed over: \(Units.grouped(skipped)); the first: \(firstSkipped ?? "")")
        }
        if undecided > 0 {
            warnings.append(
                """
                particles with both forms, as in 은(는), for the letters before them don't tell which: \(Units.grouped(undecided)); \
                write such words in Hangul
                """)
        }
        return warnings
    }
}

/// Makes documents of triples: one of consecutive triples with the same subject.
///
/// A document is a line of JSON, `{"text", "synthetic": "triples", "subject", "triples"}`, and stands on the line on which its first
/// triple stands; lines between are blank. So what is said of a line of the text holds of the triples.
struct TripleWriter {
    let templates: TripleTemplates
    let textKey: String
    let wording: Int
    let seed: UInt64
    let skipsBadLines: Bool
    private(set) var figures = TripleFigures()
    /// The lines so far.
    private(set) var bytes: [UInt8] = []
    /// The line that comes next.
    private var next = 1
    private var document: (line: Int, subject: String, triples: Set<Triple>, sentences: [String])?

    init(_ templates: TripleTemplates, textKey: String, wording: Int, seed: UInt64, skipsBadLines: Bool) {
        (self.templates, self.textKey, self.wording) = (templates, textKey, wording)
        (self.seed, self.skipsBadLines) = (seed, skipsBadLines)
    }

    /// Takes a line.
    ///
    /// - Throws: ``UserFacingError`` when it can't be used and is not to be passed over.
    mutating func add(
        _ fields: Result<[String], UserFacingError>, line: Int, path: String
    ) throws(UserFacingError) {
        do throws(UserFacingError) {
            let fields = try fields.get()
            let triple = Triple(subject: fields[0], relation: fields[1], object: fields[2])
            guard let sentence = templates.sentence(of: triple, wording: wording, seed: seed) else {
                throw .noTemplate(path: path, line: line, relation: triple.relation, templates: templates)
            }
            add(triple, sentence, line: line)
        } catch {
            guard skipsBadLines else { throw error }
            figures.skipped += 1
            figures.firstSkipped = figures.firstSkipped ?? error.description
        }
    }

    private mutating func add(_ triple: Triple, _ sentence: (text: String, undecided: Int), line: Int) {
        if let document,
            document.subject != triple.subject || document.triples.count == TripleText.mostTriples
        {
            finish()
        }
        if document == nil { document = (line, triple.subject, [], []) }
        guard document?.triples.insert(triple).inserted == true else {
            figures.repeated += 1
            return
        }
        document?.sentences.append(sentence.text)
        figures.triples += 1
        figures.undecided += sentence.undecided
    }

    /// Writes the document at hand.
    mutating func finish() {
        guard let document else { return }
        bytes += repeatElement(UInt8(ascii: "\n"), count: document.line - next)
        let line: JSON = [
            textKey: .string(document.sentences.joined(separator: " ")),
            Synthesis.key: .string(Synthesis.triples.name), Self.subjectKey: .string(document.subject),
            Self.triplesKey: JSON(document.triples.count),
        ]
        bytes += line.serialized(indent: nil) + [UInt8(ascii: "\n")]
        (next, self.document) = (document.line + 1, nil)
    }

    private static let (subjectKey, triplesKey) = ("subject", "triples")
    /// The keys of a line beside its text's.
    static let keys = [Synthesis.key, subjectKey, triplesKey]

    /// Takes the lines that are done.
    mutating func take() -> [UInt8] {
        defer { bytes.removeAll(keepingCapacity: true) }
        return bytes
    }
}
