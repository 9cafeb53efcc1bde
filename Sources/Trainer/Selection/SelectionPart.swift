internal import Formats

/// What is kept of a document between the passes.
struct DocumentRecord: Sendable {
    /// Why it is dropped; 0 where it isn't.
    var code: UInt16
    var detail: DocumentDetail
    var score: Float
    /// Its line, counted from 0 in its part.
    var line: UInt32
    /// The bytes that it will have in the output.
    var length: UInt64
    /// The bytes of its text.
    var textLength: UInt32

    static let size = 24
}

/// What is known of a document besides its verdict, in 16 bits: in the lowest whether cleaning changed it, in the next two how it was
/// made, and above them the set of an evaluation text in it.
struct DocumentDetail: Sendable {
    let rawValue: UInt16

    init(rawValue: UInt16) { self.rawValue = rawValue }

    init(isChanged: Bool, synthesis: Synthesis?, set: Int) {
        rawValue = UInt16(set << 3) | UInt16(synthesis?.rawValue ?? 0) << 1 | (isChanged ? 1 : 0)
    }

    /// Whether cleaning has changed it.
    var isChanged: Bool { rawValue & 1 == 1 }
    /// How it was made; nil where somebody has written it.
    var synthesis: Synthesis? { Synthesis(rawValue: UInt8(rawValue >> 1 & 3)) }
    /// The set of an evaluation text in it.
    var set: Int { Int(rawValue >> 3) }
}

/// What a document that no rule drops is compared by.
struct DocumentKeys: Sendable {
    /// Its number in its part.
    var index: UInt32
    var fingerprint: Fingerprint
    /// Its bands; none where it is shorter than a shingle.
    var bands: [Fingerprint]

    static let size = 4 + 12 * (1 + MinHash.bands)
}

/// The file of a part that was looked at, which appears when it is whole.
///
/// Blocks of documents with what they are compared by, the runs of evaluation texts that were found, and figures.
final class SelectionPartWriter {
    private let file: AtomicFile
    private var written = 0
    private var documents: [UInt8] = []
    private var keys: [UInt8] = []
    private var documentCount = 0
    private var keyCount = 0
    private(set) var total = 0
    private var runs: Set<UInt32> = []

    static let start = Array("TRPART02".utf8)
    private static let mostInBlock = 4096

    init(path: String) throws(UserFacingError) {
        file = try AtomicFile(path: path)
        try write(Self.start)
    }

    private func write(_ bytes: [UInt8]) throws(UserFacingError) {
        try file.write(bytes, at: written)
        written += bytes.count
    }

    /// Adds a document.
    func append(_ found: Examination, line: Int, length: Int) throws(UserFacingError) {
        documents.append(number: found.code)
        documents.append(
            number: DocumentDetail(isChanged: found.isChanged, synthesis: found.synthesis, set: found.set)
                .rawValue)
        documents.append(number: Float(found.score).bitPattern)
        documents.append(number: UInt32(line))
        documents.append(number: UInt64(length))
        documents.append(number: UInt32(clamping: found.text.count))
        if found.code == 0 {
            keys.append(number: UInt32(total))
            for print in [found.fingerprint] + found.bands { Self.append(print, to: &keys) }
            if found.bands.isEmpty { for _ in 0..<MinHash.bands { Self.append(.none, to: &keys) } }
            keyCount += 1
        }
        runs.formUnion(found.runs)
        (documentCount, total) = (documentCount + 1, total + 1)
        if documentCount == Self.mostInBlock { try flush() }
    }

    private static func append(_ print: Fingerprint, to bytes: inout [UInt8]) {
        bytes.append(number: print.high)
        bytes.append(number: print.low)
    }

    private func flush() throws(UserFacingError) {
        var head: [UInt8] = []
        head.append(number: UInt32(documentCount))
        head.append(number: UInt32(keyCount))
        try write(head + documents + keys)
        documents.removeAll(keepingCapacity: true)
        keys.removeAll(keepingCapacity: true)
        (documentCount, keyCount) = (0, 0)
    }

    /// Ends the file.
    func finish(_ figures: PartFigures) throws(UserFacingError) {
        if documentCount > 0 { try flush() }
        var end: [UInt8] = []
        end.append(number: UInt64(0))
        end.append(number: UInt32(runs.count))
        for run in runs.sorted() { end.append(number: run) }
        let json = figures.json.serialized(indent: nil)
        end.append(number: UInt32(json.count))
        try write(end + json)
        try file.publish()
    }
}

/// The file of a part, read a block at a time.
struct SelectionPartReader {
    private let input: InputFile
    private var offset: Int
    /// The runs of evaluation texts that were found, and the figures, which are there when all blocks were read.
    private(set) var runs: [UInt32] = []
    private(set) var figures: PartFigures?

    init(path: String) throws(UserFacingError) {
        input = try InputFile(path: path)
        let start = SelectionPartWriter.start
        guard input.size >= start.count + 16, try input.bytes(at: 0, count: start.count) == start else {
            throw .brokenPart(path: path)
        }
        offset = start.count
    }

    /// The next block; nil behind the last.
    mutating func next() throws(UserFacingError) -> (documents: [DocumentRecord], keys: [DocumentKeys])? {
        guard figures == nil else { return nil }
        var place = 0
        let head = try take(8)
        let (documentCount, keyCount) = (
            Int(head.number(at: &place, as: UInt32.self)), Int(head.number(at: &place, as: UInt32.self))
        )
        guard documentCount > 0 else {
            try readEnd()
            return nil
        }
        let bytes = try take(documentCount * DocumentRecord.size + keyCount * DocumentKeys.size)
        place = 0
        var documents: [DocumentRecord] = []
        documents.reserveCapacity(documentCount)
        for _ in 0..<documentCount {
            let code: UInt16 = bytes.number(at: &place)
            let detail = DocumentDetail(rawValue: bytes.number(at: &place))
            let score = Float(bitPattern: bytes.number(at: &place))
            let line: UInt32 = bytes.number(at: &place)
            documents.append(
                DocumentRecord(
                    code: code, detail: detail, score: score, line: line, length: bytes.number(at: &place),
                    textLength: bytes.number(at: &place)))
        }
        var keys: [DocumentKeys] = []
        keys.reserveCapacity(keyCount)
        for _ in 0..<keyCount {
            let index: UInt32 = bytes.number(at: &place)
            let prints = (0..<MinHash.bands + 1).map { _ in
                let high: UInt64 = bytes.number(at: &place)
                return Fingerprint(high: high, low: bytes.number(at: &place))
            }
            keys.append(
                DocumentKeys(
                    index: index, fingerprint: prints[0],
                    bands: prints[1] == .none ? [] : Array(prints.dropFirst())))
        }
        return (documents, keys)
    }

    private mutating func take(_ count: Int) throws(UserFacingError) -> [UInt8] {
        guard count <= input.size - offset else { throw .brokenPart(path: input.path) }
        defer { offset += count }
        return try input.bytes(at: offset, count: count)
    }

    private mutating func readEnd() throws(UserFacingError) {
        var place = 0
        let count = Int(try take(4).number(at: &place, as: UInt32.self))
        let bytes = try take(count * 4)
        place = 0
        runs = (0..<count).map { _ in bytes.number(at: &place) }
        place = 0
        let size = Int(try take(4).number(at: &place, as: UInt32.self))
        figures = PartFigures(try JSON(parsing: try take(size), file: input.path))
    }
}

/// What was counted in the documents of a part.
struct PartFigures: Sendable {
    /// The lines that begin in the part, and the bytes of its texts as they were read.
    var lines = 0
    var textBytes = 0
    var findings = TextFindings()
    var cleaned = TextCleaner.Counts()
    var changed = 0
    /// The documents of which it was asked in which language most of them is, by that.
    var languages: [String: Int] = [:]

    init() {}

    mutating func add(_ other: PartFigures) {
        lines += other.lines
        textBytes += other.textBytes
        changed += other.changed
        languages.merge(other.languages, uniquingKeysWith: +)
        findings.add(other.findings)
        for field in Self.fields { cleaned[keyPath: field.path] += other.cleaned[keyPath: field.path] }
    }

    /// What is counted in cleaning, by the name that reports give it.
    static var fields: [(name: String, path: WritableKeyPath<TextCleaner.Counts, Int>)] {
        [
            ("control_characters", \.controls), ("tags", \.tags), ("entities", \.entities),
            ("mail_addresses", \.mails),
            ("telephone_numbers", \.telephones), ("resident_numbers", \.residentNumbers),
            ("boilerplate_lines", \.lines), ("repeated_paragraphs", \.paragraphs),
            ("replacement_characters", \.replacements),
        ]
    }

    /// The counts of cleaning by name.
    var cleanedJSON: JSON {
        var json: JSON = [:]
        for field in Self.fields { json[field.name] = JSON(cleaned[keyPath: field.path]) }
        return json
    }

    /// The counts of languages by name, in alphabetical order.
    var languagesJSON: JSON {
        .object(
            languages.sorted { $0.key < $1.key }.reduce(into: JSONObject()) { $0[$1.key] = JSON($1.value) })
    }

    var json: JSON {
        [
            "lines": JSON(lines), "text_bytes": JSON(textBytes), "changed": JSON(changed),
            "cleaned": cleanedJSON,
            "findings": findings.counts, "languages": languagesJSON,
        ]
    }

    init(_ json: JSON) {
        (lines, textBytes) = (json["lines"]?.int ?? 0, json["text_bytes"]?.int ?? 0)
        changed = json["changed"]?.int ?? 0
        for (name, count) in json["languages"]?.object ?? [:] { languages[name] = count.int ?? 0 }
        findings = TextFindings(counts: json["findings"] ?? [:])
        for field in Self.fields { cleaned[keyPath: field.path] = json["cleaned"]?[field.name]?.int ?? 0 }
    }
}

extension UserFacingError {
    /// A file of the work folder is not what was written.
    static func brokenPart(path: String) -> Self {
        Self(
            .malformed, "\(path): it is not whole, or not of this version; remove its folder and begin again")
    }
}
