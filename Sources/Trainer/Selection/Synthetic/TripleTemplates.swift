internal import Formats

/// A fact: what stands in what relation to what.
struct Triple: Sendable, Hashable {
    var subject, relation, object: String

    /// The fields, in the order of columns.
    static let fields = ["subject", "relation", "object"]
}

/// A sentence with places for a triple's subject and object.
///
/// As in `{subject:은/는} {object}의 수도이다.`, `{subject}` and `{object}` stand for the triple's, with the form of a particle behind
/// them where one is named; `{{` and `}}` are braces.
struct TripleTemplate: Sendable, Equatable {
    private enum Piece: Sendable, Equatable {
        case text(String)
        case value(isSubject: Bool, KoreanParticle?)
    }

    private var pieces: [Piece] = []

    /// Why a text is no template.
    struct Fault: Error {
        let reason: String
    }

    init(_ text: String) throws(Fault) {
        var (rest, literal) = (Substring(text), "")
        while let character = rest.first {
            rest = rest.dropFirst()
            guard character == "{" || character == "}" else {
                literal.append(character)
                continue
            }
            if rest.first == character {
                literal.append(character)
                rest = rest.dropFirst()
                continue
            }
            guard character == "{", let end = rest.firstIndex(of: "}") else {
                throw Fault(reason: "a brace stands alone; write {{ or }} for a brace of the text")
            }
            if !literal.isEmpty { pieces.append(.text(literal)) }
            literal = ""
            pieces.append(try Self.place(String(rest[..<end])))
            rest = rest[rest.index(after: end)...]
        }
        if !literal.isEmpty { pieces.append(.text(literal)) }
        guard pieces.contains(where: { if case .value = $0 { true } else { false } }) else {
            throw Fault(
                reason: "it names neither {subject} nor {object}, and would say the same of every triple")
        }
    }

    private static func place(_ text: String) throws(Fault) -> Piece {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = parts.first, name == "subject" || name == "object" else {
            throw Fault(reason: "{\(text)} is not known; the places are {subject} and {object}")
        }
        guard parts.count == 2 else { return .value(isSubject: name == "subject", nil) }
        guard let particle = KoreanParticle(named: String(parts[1])) else {
            throw Fault(
                reason:
                    "the particle '\(parts[1])' is not known; the particles are \(KoreanParticle.names.joined(separator: ", "))"
            )
        }
        return .value(isSubject: name == "subject", particle)
    }

    /// The sentence of a triple, and how many particles of it have both forms, for the word before does not tell which.
    func sentence(of triple: Triple) -> (text: String, undecided: Int) {
        var (text, undecided) = ("", 0)
        for piece in pieces {
            switch piece {
            case .text(let own): text += own
            case .value(let isSubject, let particle):
                let value = isSubject ? triple.subject : triple.object
                text += value
                guard let particle else { continue }
                let form = particle.form(after: value)
                if form == nil { undecided += 1 }
                text += form ?? particle.undecided
            }
        }
        return (text, undecided)
    }
}

/// The templates of a file, by relation.
///
/// A `.yaml` or `.yml` has the relations as keys, and a template or a list of them for each; a `.jsonl` or `.tsv` has a relation
/// and a template a line, and several lines of one relation.
struct TripleTemplates: Sendable {
    /// The file.
    let path: String
    /// Its SHA-256.
    let sha256: String
    private var templates: [String: [TripleTemplate]] = [:]

    /// Reads a file.
    ///
    /// - Throws: ``UserFacingError`` that names the file, the line, and what is not known there.
    init(path: String) throws(UserFacingError) {
        self.path = path
        sha256 = try FileDigest.sha256(try InputFile(path: path))
        if ["yaml", "yml"].contains(Path.suffix(path)) {
            try read(YAMLNode.read(path: path))
        } else {
            try NamedFields.forEach(in: path, ["relation", "template"]) {
                line, fields throws(UserFacingError) in
                let fields = try fields.get()
                try add(fields[1], for: fields[0], line: line)
            }
        }
        guard !templates.isEmpty else { throw .noTemplates(path: path) }
    }

    private mutating func read(_ node: YAMLNode) throws(UserFacingError) {
        guard let entries = node.entries else {
            throw .badTemplates(path: path, line: node.line, found: "no mapping")
        }
        for entry in entries {
            let values = entry.value.list ?? [entry.value]
            guard !values.isEmpty else {
                throw .badTemplates(path: path, line: entry.line, found: "no template for '\(entry.key)'")
            }
            for value in values {
                guard let text = value.json.string else {
                    throw .badTemplates(
                        path: path, line: value.line,
                        found: "\(value.json.kind) as a template for '\(entry.key)'")
                }
                try add(text, for: entry.key, line: value.line)
            }
        }
    }

    private mutating func add(_ text: String, for relation: String, line: Int) throws(UserFacingError) {
        let template: TripleTemplate
        do throws(TripleTemplate.Fault) {
            template = try TripleTemplate(text)
        } catch {
            throw .badTemplate(path: path, line: line, template: text, reason: error.reason)
        }
        if templates[relation]?.contains(template) == true {
            throw .badTemplate(
                path: path, line: line, template: text,
                reason: "it stands there twice for '\(relation)'; once is enough")
        }
        templates[relation, default: []].append(template)
    }

    /// The most templates that a relation has.
    var most: Int { templates.values.map(\.count).max() ?? 0 }

    /// The sentence of a triple in one of its wordings; nil where its relation has no template.
    ///
    /// Which template comes first is drawn by the seed and the triple alone; further wordings take the next ones, and begin again
    /// behind the last.
    func sentence(of triple: Triple, wording: Int, seed: UInt64) -> (text: String, undecided: Int)? {
        guard let templates = templates[triple.relation] else { return nil }
        var first = 0
        if templates.count > 1 {
            let name = "\(seed)\u{1F}\(triple.subject)\u{1F}\(triple.relation)\u{1F}\(triple.object)"
            first = Int(FileDigest.sha256Start(Array(name.utf8)).high % UInt64(templates.count))
        }
        return templates[(first + wording) % templates.count].sentence(of: triple)
    }

    /// The relations, in alphabetical order.
    var relations: [String] { templates.keys.sorted() }
}

extension UserFacingError {
    fileprivate static func noTemplates(path: String) -> Self {
        Self(.missing, "\(path): no template is in it; expected a relation and a template a line")
    }

    fileprivate static func badTemplates(path: String, line: Int, found: String) -> Self {
        Self(
            .malformed,
            """
            \(path), line \(line): it has \(found); expected relations with a template or a list of templates each, in quotes \
            where they begin with a brace
            """)
    }

    fileprivate static func badTemplate(path: String, line: Int, template: String, reason: String) -> Self {
        Self(.malformed, "\(path), line \(line), in the template '\(template)': \(reason)")
    }

    /// A relation has no template.
    static func noTemplate(path: String, line: Int, relation: String, templates: TripleTemplates) -> Self {
        let known = templates.relations
        return Self(
            .missing,
            """
            \(path), line \(line): the relation '\(relation)' has no template in \(templates.path); the relations there are \
            \(known.prefix(10).joined(separator: ", "))\(known.count > 10 ? ", …" : ""). Add one, or pass over such lines \
            with --skip-bad-lines
            """)
    }
}
