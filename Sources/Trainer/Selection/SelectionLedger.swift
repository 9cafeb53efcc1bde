public import Formats

/// What became of every document of a selection, in a file: why it was dropped, with which score, and which document it equals.
///
/// The file begins with `TRLEDGER`, the version and the size of a header (4 bytes each), and the header as JSON: the settings,
/// the reasons in the order of their codes, the files, and of each part of a file its file, first document and first line.
/// Behind it stand 16 bytes a document, in the order of the files: code and detail (2 bytes each: see ``DocumentDetail``), score (float32), the number
/// of the document that it equals (2³² − 1 for none), and its line, counted from 0 in its part. Where documents were chosen, the
/// header names the measures and groups, and a table of ranks follows: of each document its rank (4 bytes, from 1; 0 for one that was
/// dropped before), its group (4 bytes, 2³² − 1 for none) and its score by each measure (float32). Numbers have their lowest byte first.
public struct SelectionLedger: Sendable {
    /// How many documents there are.
    public let count: Int
    private let input: InputFile
    private let recordStart: Int
    private let reasons: [Reason]
    private let files: [String]
    private let sets: [String]
    private let languages: [String]
    private let parts: [Part]
    /// What documents were chosen by; nil where none were chosen.
    private let measures: [String]?
    private let groups: [String]

    static let start = Array("TRLEDGER".utf8)
    static let (version, recordSize, noDocument): (UInt32, Int, UInt32) = (2, 16, .max)

    /// The bytes of a document in the table of ranks.
    private static func rankSize(_ measures: [String]) -> Int { 8 + 4 * measures.count }

    /// Where the documents of a part are.
    struct Part: Sendable {
        let file: Int
        let firstDocument: Int
        let firstLine: Int
    }

    /// A record.
    struct Entry {
        var code: UInt16
        var detail: DocumentDetail
        var score: Float
        var equal: UInt32
        var line: UInt32

        func append(to bytes: inout [UInt8]) {
            bytes.append(number: code)
            bytes.append(number: detail.rawValue)
            bytes.append(number: score.bitPattern)
            bytes.append(number: equal)
            bytes.append(number: line)
        }
    }

    /// The bytes before the records.
    static func head(
        _ settings: SelectionSettings, files: [String], parts: [Part], documents: Int, tool: String,
        measures: [String]? = nil, groups: [String] = []
    ) -> [UInt8] {
        var json: JSON = [
            "tool": .string(tool), "documents": JSON(documents), "settings": settings.json,
            "reasons": .array(settings.reasons.map(\.json)), "files": .array(files.map { .string($0) }),
            "parts": .array(
                parts.map { .array([JSON($0.file), JSON($0.firstDocument), JSON($0.firstLine)]) }),
        ]
        if let measures {
            json["measures"] = .array(measures.map { .string($0) })
            json["groups"] = .array(groups.map { .string($0) })
        }
        let header = json.serialized(indent: nil)
        var bytes = start
        bytes.append(number: version)
        bytes.append(number: UInt32(header.count))
        return bytes + header
    }

    /// Opens a ledger.
    ///
    /// - Throws: ``UserFacingError`` when it is none, or not whole.
    public init(path: String) throws(UserFacingError) {
        input = try InputFile(path: path)
        guard input.size >= 16, try input.bytes(at: 0, count: 8) == Self.start else {
            throw .noLedger(path: path)
        }
        let numbers = try input.bytes(at: 8, count: 8)
        var place = 0
        let version: UInt32 = numbers.number(at: &place)
        let size = Int(numbers.number(at: &place, as: UInt32.self))
        guard version == Self.version, size <= input.size - 16 else { throw .noLedger(path: path) }
        let json = try JSON(parsing: try input.bytes(at: 16, count: size), file: path)
        groups = (json["groups"]?.array ?? []).compactMap(\.string)
        measures = json["measures"]?.array?.compactMap(\.string)
        let recordSize = Self.recordSize + (measures.map(Self.rankSize) ?? 0)
        guard let count = json["documents"]?.int, count >= 0, input.size == 16 + size + count * recordSize
        else { throw .noLedger(path: path) }
        (self.count, recordStart) = (count, 16 + size)
        reasons = (json["reasons"]?.array ?? []).compactMap { Reason($0) }
        files = (json["files"]?.array ?? []).compactMap(\.string)
        sets = (json["settings"]?["against"]?.array ?? []).compactMap { $0["name"]?.string }
        languages = (json["settings"]?["language"]?["names"]?.array ?? []).compactMap(\.string)
        parts = (json["parts"]?.array ?? []).compactMap { part in
            guard let file = part[0]?.int, let document = part[1]?.int, let line = part[2]?.int else {
                return nil
            }
            return Part(file: file, firstDocument: document, firstLine: line)
        }
    }

    /// What became of a document.
    public struct Fate: Sendable {
        /// Its number, from 0, in the order of the files.
        public let number: Int
        /// Its file, as it was named.
        public let file: String
        /// Its line, from 1.
        public let line: Int
        /// Why it was dropped; nil where it was kept.
        public let reason: String?
        /// What was measured.
        public let score: Double?
        /// The number that this must not pass.
        public let limit: Double?
        /// Whether that is the least, or else the most.
        public let isLeast: Bool
        /// The evaluation set of which a text is in it.
        public let set: String?
        /// The language of most of its letters, where that is why it was dropped.
        public let language: String?
        /// The document that it equals.
        public let equal: Int?
        /// Whether cleaning changed it.
        public let isChanged: Bool
        /// How it was made, where it is marked as synthetic: `triples`, `replay` or `other`.
        public let synthesis: String?
        /// Its place in the order in which documents were taken, from 1; nil where it was dropped before.
        public let rank: Int?
        /// The cluster or topic that it is of, where documents were spread over these.
        public let group: String?
        /// What was measured of it, by name; those that could not be measured are not there.
        public let scores: [(name: String, score: Double)]

        /// As one object of JSON.
        public var json: JSON {
            var json: JSON = [
                "document": JSON(number), "file": .string(file), "line": JSON(line),
                "kept": .bool(reason == nil),
                "changed": .bool(isChanged),
            ]
            if let synthesis { json["synthetic"] = .string(synthesis) }
            if let reason { json["reason"] = .string(reason) }
            if let score { json["score"] = JSON(score) }
            if let limit { json[isLeast ? "least" : "most"] = JSON(limit) }
            if let set { json["set"] = .string(set) }
            if let language { json["language"] = .string(language) }
            if let equal { json["equals"] = JSON(equal) }
            if let rank { json["rank"] = JSON(rank) }
            if let group { json["group"] = .string(group) }
            for (name, score) in scores { json[name] = JSON(score) }
            return json
        }
    }

    /// The number of a document that is named by its number, or as `FILE:LINE`.
    ///
    /// - Throws: ``UserFacingError`` that says which documents there are.
    public func number(of name: String) throws(UserFacingError) -> Int {
        if let number = Int(name), (0..<count).contains(number) { return number }
        if let colon = name.lastIndex(of: ":"), let line = Int(name[name.index(after: colon)...]) {
            let path = String(name[..<colon])
            let exact = files.indices.filter { Path.absolute(files[$0]) == Path.absolute(path) }
            let matches = exact.isEmpty ? files.indices.filter { Path.name(files[$0]) == path } : exact
            let names = Set(matches.map { files[$0] }).sorted()
            guard names.count <= 1 else { throw .severalFiles(name: path, names) }
            for (index, part) in parts.enumerated() where matches.contains(part.file) {
                let end = index + 1 < parts.count ? parts[index + 1].firstDocument : count
                let place = try entries(part.firstDocument..<end).firstIndex {
                    part.firstLine + Int($0.line) == line
                }
                if let place { return part.firstDocument + place }
            }
        }
        throw .noSuchDocument(name: name, count: count, file: files.first ?? "texts.jsonl")
    }

    private static func entry(_ bytes: [UInt8], _ place: inout Int) -> Entry {
        let code: UInt16 = bytes.number(at: &place)
        let detail = DocumentDetail(rawValue: bytes.number(at: &place))
        let score = Float(bitPattern: bytes.number(at: &place))
        let equal: UInt32 = bytes.number(at: &place)
        return Entry(code: code, detail: detail, score: score, equal: equal, line: bytes.number(at: &place))
    }

    /// The entries of some documents that follow each other.
    func entries(_ range: Range<Int>) throws(UserFacingError) -> [Entry] {
        let bytes = try input.bytes(
            at: recordStart + range.lowerBound * Self.recordSize, count: range.count * Self.recordSize)
        var place = 0
        return range.map { _ in Self.entry(bytes, &place) }
    }

    /// What became of a document.
    public func fate(of number: Int) throws(UserFacingError) -> Fate {
        var (low, high) = (0, parts.count - 1)
        while low < high {
            let middle = (low + high + 1) / 2
            if parts[middle].firstDocument <= number { low = middle } else { high = middle - 1 }
        }
        guard let entry = try entries(number..<number + 1).first, parts.indices.contains(low) else {
            throw .noLedger(path: input.path)
        }
        let part = parts[low]
        let reason = entry.code > 0 && Int(entry.code) <= reasons.count ? reasons[Int(entry.code) - 1] : nil
        let isContaminated = reason?.name == Reason.others[Reason.Other.contamination.rawValue]
        let isLeft = reason?.name == Reason.others[Reason.Other.notChosen.rawValue]
        let ranks = try ranks(of: number)
        let set = isContaminated ? entry.detail.set : sets.count
        return Fate(
            number: number, file: files.indices.contains(part.file) ? files[part.file] : "",
            line: part.firstLine + Int(entry.line), reason: reason?.name,
            score: reason == nil || isLeft ? nil : Double(entry.score), limit: reason?.number,
            isLeast: reason?.bound == "least",
            set: sets.indices.contains(set) ? sets[set] : nil,
            language: reason?.name == Reason.otherLanguage
                ? LanguageIdentifier.name(of: entry.detail.set, in: languages) : nil,
            equal: entry.equal == Self.noDocument ? nil : Int(entry.equal), isChanged: entry.detail.isChanged,
            synthesis: entry.detail.synthesis?.name,
            rank: ranks.rank, group: ranks.group, scores: ranks.scores)
    }

    /// A document's row in the table of ranks.
    private func ranks(
        of number: Int
    ) throws(UserFacingError) -> (rank: Int?, group: String?, scores: [(name: String, score: Double)]) {
        guard let measures else { return (nil, nil, []) }
        let size = Self.rankSize(measures)
        let bytes = try input.bytes(at: recordStart + count * Self.recordSize + number * size, count: size)
        var place = 0
        let rank = Int(bytes.number(at: &place, as: UInt32.self))
        let group = Int(bytes.number(at: &place, as: UInt32.self))
        let scores = measures.map { ($0, Double(Float(bitPattern: bytes.number(at: &place)))) }
        return (
            rank == 0 ? nil : rank, groups.indices.contains(group) ? groups[group] : nil,
            scores.filter { $0.1.isFinite }
        )
    }

    /// What became of a document, and of those that it equals, one after the other.
    public func way(of number: Int) throws(UserFacingError) -> [Fate] {
        var way = [try fate(of: number)]
        while let next = way.last?.equal, way.count < 4 { way.append(try fate(of: next)) }
        return way
    }
}

extension UserFacingError {
    /// A file is no ledger.
    static func noLedger(path: String) -> Self {
        Self(
            .malformed,
            "\(path): it is no whole ledger of this version, which trainer select writes beside its output")
    }

    /// Several files are called so.
    fileprivate static func severalFiles(name: String, _ names: [String]) -> Self {
        Self(
            .request,
            "several files are called \(name): \(names.joined(separator: ", ")); give the whole path")
    }

    /// No document is called so.
    static func noSuchDocument(name: String, count: Int, file: String) -> Self {
        Self(
            .request,
            "no document is called '\(name)'; give its number, 0 to \(max(0, count - 1)), its file and line, as in \(file):1, or all"
        )
    }
}
