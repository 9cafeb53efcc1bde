/// Files of documents, read in order and a part at a time, so that text of any size takes the same memory.
///
/// `.jsonl`, `.ndjson` and `.json`: each line is an object that holds a document; blank lines are passed over. `.txt`: the
/// whole file is one document. `.parquet`: each row's text is one. Each may be packed by gzip or Zstandard. Folders, patterns,
/// pipes and `-`, which is standard input, stand for the files in them.
///
/// ``DocumentIndex`` reads documents in any order.
public struct Documents: Sendable {
    /// What was named, in the order in which it is read.
    public let paths: [String]
    /// How it is read.
    public let options: TextOptions

    /// How many bytes of a file are handed out at a time; a longer line is handed out alone.
    private static let batchSize = 8 << 20

    /// The documents of these files.
    public init(paths: [String], options: TextOptions = TextOptions()) {
        self.paths = paths
        self.options = options
    }

    /// Reads all files from the start.
    ///
    /// - Parameters:
    ///   - isCancelled: asked after each batch; true stops.
    ///   - progress: told how many bytes are read, of how many; of packed files these are packed.
    ///   - visit: is given some texts at a time.
    /// - Returns: what was found on the way to the files.
    /// - Throws: ``UserFacingError`` that names the file and the first line that can't be used, or
    ///   ``UserFacingError`` when it was stopped.
    @discardableResult
    func forEachBatch(
        isCancelled: () -> Bool = { false }, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in },
        _ visit: (DocumentBatch) throws(UserFacingError) -> Void
    ) throws(UserFacingError) -> TextFindings {
        let files = try TextPaths(paths)
        // A file that is not there is named before hours are spent on those before it.
        var sizes: [Int] = []
        for path in files.paths {
            sizes.append(TextFile.isPipe(path) ? 0 : try InputFile(path: path).size)
        }
        let total = sizes.reduce(0, +)
        var before = 0
        for (path, size) in zip(files.paths, sizes) {
            let file = try TextFile(path: path)
            try Self.forEachBatch(of: file, options) { batch throws(UserFacingError) in
                try visit(batch)
                let share = Double(batch.readTo) / Double(max(file.file.size, 1))
                progress(before + Int(Double(size) * share), total)
                if isCancelled() { throw .interrupted(" before all text was read; begin again") }
            }
            before += size
        }
        return files.findings
    }

    /// Reads one file, or some of its lines.
    ///
    /// - Parameters:
    ///   - file: the file.
    ///   - options: how documents are read.
    ///   - range: the bytes to read, which begin and end with a line; nil for all, as of what has no lines.
    ///   - firstLine: the number of the first line.
    ///   - visit: is given some texts at a time.
    /// - Throws: what `visit` throws, and when the file can't be read.
    static func forEachBatch(
        of file: TextFile, _ options: TextOptions, in range: Range<Int>? = nil, firstLine: Int = 1,
        _ visit: (DocumentBatch) throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        if case .rows = file.kind { return try ParquetTexts(file, options).forEachBatch(visit) }
        let reader = DocumentReader(options)
        let range = range ?? 0..<file.file.size
        var (offset, line, lineStart) = (range.lowerBound, firstLine, range.lowerBound)
        while offset < range.upperBound {
            let bytes = try bytes(of: file, from: offset, to: range.upperBound, line: line)
            try visit(
                DocumentBatch(
                    bytes, file, reader, offset: offset, firstLine: line, lineStart: lineStart))
            line += bytes.count { $0 == UInt8(ascii: "\n") }
            if let feed = bytes.lastIndex(of: UInt8(ascii: "\n")) { lineStart = offset + feed + 1 }
            offset += bytes.count
        }
    }

    /// The bytes from `offset` on that are handed out together: whole lines, or what ends at a good cut.
    private static func bytes(
        of file: TextFile, from offset: Int, to end: Int, line: Int
    ) throws(UserFacingError) -> [UInt8] {
        var size = batchSize
        while true {
            var bytes = try file.file.bytes(at: offset, count: min(size, end - offset))
            guard offset + bytes.count < end else { return bytes }
            switch file.kind {
            case .rows: preconditionFailure("rows are read by ParquetTexts")
            case .whole:
                bytes.removeSubrange(DocumentBatch.cut(bytes[...])...)
                return bytes
            case .lines:
                if let feed = bytes.lastIndex(of: UInt8(ascii: "\n")) {
                    bytes.removeSubrange((feed + 1)...)
                    return bytes
                }
                guard size <= Int(Int32.max) else {
                    throw .documentTooLong(path: file.file.path, line: line, bytes: size)
                }
                size *= 2
            }
        }
    }
}

/// What makes documents of bytes.
struct DocumentReader: Sendable {
    let options: TextOptions
    private let key: TextKey

    init(_ options: TextOptions) {
        self.options = options
        key = TextKey(options.textKey)
    }

    /// Where a line has the value of the text's key; nil where it has none.
    func place(ofLine line: Span<UInt8>) -> Range<Int>? { key.place(ofLine: line) }

    /// The document of a line; nil where the line is blank.
    func document(
        ofLine line: Span<UInt8>, path: String, line number: Int, noting findings: inout TextFindings
    ) throws(UserFacingError) -> [UInt8]? {
        guard let text = try key.text(ofLine: line, path: path, line: number) else { return nil }
        return options.document(text, isStart: true, hasLines: false, noting: &findings)
    }

    /// The document of a row, which is UTF-8.
    func document(ofRow text: [UInt8], noting findings: inout TextFindings) -> [UInt8] {
        options.document(text, isStart: true, hasLines: false, noting: &findings)
    }

    /// The document of a whole file, or a part of it; nil where it is not UTF-8.
    ///
    /// Where bad lines are passed over, those that are not UTF-8 are left out.
    func document(
        ofFile bytes: [UInt8], isStart: Bool, path: String, line: Int, noting findings: inout TextFindings
    ) -> [UInt8]? {
        var bytes = bytes
        if !isUTF8(bytes.span) {
            guard options.skipsBadLines else { return nil }
            bytes = withoutBadLines(bytes, path: path, line: line, noting: &findings)
        }
        return options.document(bytes, isStart: isStart, hasLines: true, noting: &findings)
    }

    private func withoutBadLines(
        _ bytes: [UInt8], path: String, line: Int, noting findings: inout TextFindings
    ) -> [UInt8] {
        var kept: [UInt8] = []
        var (start, line) = (0, line)
        while start < bytes.count {
            let end = (bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count - 1) + 1
            let part = Array(bytes[start..<end])
            let invalid = firstInvalid(part)
            if invalid == part.count {
                kept += part
            } else {
                findings.skip(.notUTF8(path: path, line: line, byte: invalid))
            }
            (start, line) = (end, line + 1)
        }
        return kept
    }
}

/// Some consecutive texts of a file: documents, or parts of one that is long.
package struct DocumentBatch: Sendable {
    /// The bytes of the file; of rows those of their texts.
    let bytes: [UInt8]
    /// Where each text lies in `bytes`: a line with its line feed, a row's text, or a part of the document.
    package let parts: [Range<Int>]
    /// Where the bytes lie in the file; of rows, among all texts that are read.
    let offset: Int
    /// Up to where the file is read.
    let readTo: Int
    /// The file.
    package let path: String
    private let kind: TextFile.Kind
    private let rows: ParquetTexts.Rows?
    private let reader: DocumentReader
    private let firstLine: Int
    /// Where the line that `bytes` begin in begins in the file.
    private let lineStart: Int

    /// The object of JSON that a document is written in, its line, or its row with an empty text; nil where it is in none.
    func object(_ index: Int) -> ArraySlice<UInt8>? {
        if case .lines = kind { return bytes[parts[index]] }
        guard let rows, !rows.places.isEmpty else { return nil }
        return rows.objects[rows.places[index]]
    }

    /// The most bytes of a part, so that several threads have something to do with one document.
    private static let partSize = 1 << 20

    /// A whole file that is one document.
    init(document bytes: [UInt8], of file: TextFile, _ reader: DocumentReader) {
        (self.bytes, kind, parts) = (bytes, .whole, [0..<bytes.count])
        (path, offset, self.reader) = (file.file.path, 0, reader)
        (firstLine, lineStart, rows, readTo) = (1, 0, nil, bytes.count)
    }

    /// Texts of consecutive rows.
    init(
        _ texts: [UInt8], _ parts: [Range<Int>], _ rows: ParquetTexts.Rows, of file: TextFile,
        _ reader: DocumentReader, offset: Int, firstRow: Int, readTo: Int
    ) {
        (bytes, kind, self.parts, self.rows) = (texts, .rows, parts, rows)
        (path, self.offset, self.reader) = (file.file.path, offset, reader)
        (firstLine, lineStart, self.readTo) = (firstRow, 0, readTo)
    }

    /// Bytes that lie somewhere in a file, divided into texts.
    init(
        _ bytes: [UInt8], _ file: TextFile, _ reader: DocumentReader, offset: Int, firstLine: Int,
        lineStart: Int
    ) {
        var parts: [Range<Int>] = []
        var start = 0
        while start < bytes.count {
            let end: Int
            switch file.kind {
            case .rows: preconditionFailure("rows are not divided")
            case .lines: end = (bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count - 1) + 1
            case .whole:
                let rest = bytes[start...]
                end = rest.count > Self.partSize ? Self.cut(rest.prefix(Self.partSize)) : bytes.count
            }
            parts.append(start..<end)
            start = end
        }
        (self.bytes, self.kind, self.parts) = (bytes, file.kind, parts)
        (self.path, self.offset, self.reader) = (file.file.path, offset, reader)
        (self.firstLine, self.lineStart, rows, readTo) = (firstLine, lineStart, nil, offset + bytes.count)
    }

    /// Where a long document is divided: at best after a single line feed between visible characters, where every known
    /// tokenizer that divides text at all begins a word; else after another line feed before a visible character; else
    /// before the last run of spaces; else between two characters.
    static func cut(_ bytes: ArraySlice<UInt8>) -> Int {
        func isSpace(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0A, 0x0D].contains(byte) }
        var (line, space): (Int?, Int?) = (nil, nil)
        for index in bytes.indices.dropFirst().reversed() {
            let isAfterSpace = isSpace(bytes[index - 1])
            if isSpace(bytes[index]) {
                if !isAfterSpace { space = space ?? index }
            } else if bytes[index - 1] == UInt8(ascii: "\n") {
                if index - 2 >= bytes.startIndex, !isSpace(bytes[index - 2]) { return index }
                line = line ?? index
            }
        }
        if let place = line ?? space { return place }
        let last = bytes.suffix(4).lastIndex { $0 & 0xC0 != 0x80 }
        return last.flatMap { $0 > bytes.startIndex ? $0 : nil } ?? bytes.endIndex
    }

    /// A text.
    ///
    /// - Parameters:
    ///   - index: which.
    ///   - findings: is told what was there.
    /// - Returns: UTF-8; nil when there is none on the line or in the row, or it can't be used and is passed over.
    /// - Throws: ``UserFacingError`` when the text is not what the kind of file asks for.
    package func text(_ index: Int, noting findings: inout TextFindings) throws(UserFacingError) -> [UInt8]? {
        let part = parts[index]
        switch kind {
        case .rows:
            guard let error = rowError(index) else {
                return reader.document(ofRow: Array(bytes[part]), noting: &findings)
            }
            guard reader.options.skipsBadLines else { throw error }
            findings.skip(error)
            return nil
        case .lines:
            do {
                return try reader.document(
                    ofLine: bytes.span.extracting(part), path: path, line: line(of: index), noting: &findings)
            } catch {
                let error = encodingError(in: part) ?? error
                guard reader.options.skipsBadLines else { throw error }
                findings.skip(error)
                return nil
            }
        case .whole:
            let text = reader.document(
                ofFile: Array(bytes[part]), isStart: offset + part.lowerBound == 0, path: path,
                line: line(of: index), noting: &findings)
            guard let text else {
                throw encodingError(in: part)
                    ?? .notUTF8(path: path, line: line(of: index), byte: 0)
            }
            return text
        }
    }

    /// Why a row's text can't be used; nil when it can.
    private func rowError(_ index: Int) -> UserFacingError? {
        guard let rows else { return nil }
        let row = line(of: index)
        guard !rows.nulls.contains(index) else {
            return .nullText(path: path, row: row, place: rows.place, column: rows.column)
        }
        guard !isUTF8(bytes.span.extracting(parts[index])) else { return nil }
        let text = Array(bytes[parts[index]])
        return .notUTF8(
            path: path, row: row, place: rows.place, column: rows.column, byte: firstInvalid(text),
            encoding: TextEncoding(guessing: text[firstInvalid(text)...].prefix(1 << 16)))
    }

    /// The line of JSON of a document with a text in the place of its own; all other keys stay as they are written.
    ///
    /// - Parameters:
    ///   - index: which; it has a text.
    ///   - text: UTF-8.
    /// - Returns: the line, with its line feed. What is no line of JSON becomes an object with the text alone.
    package func record(_ index: Int, text: [UInt8]) -> [UInt8] {
        var record: [UInt8] = []
        record.reserveCapacity(parts[index].count + text.count / 8)
        guard var line = object(index), let place = reader.place(ofLine: line.span) else {
            record.append(contentsOf: "{".utf8)
            record.append(jsonString: reader.options.textKey.utf8)
            record.append(contentsOf: ":".utf8)
            record.append(jsonString: text)
            record.append(contentsOf: "}\n".utf8)
            return record
        }
        while let last = line.last, [0x20, 0x09, 0x0A, 0x0D].contains(last) { line.removeLast() }
        let start = line.startIndex
        let mark = line.starts(with: byteOrderMark) ? byteOrderMark.count : 0
        record += line[start + mark..<start + place.lowerBound]
        record.append(jsonString: text)
        record += line[(start + place.upperBound)...]
        record.append(UInt8(ascii: "\n"))
        return record
    }

    /// Where a text stops being UTF-8, and what it looks like instead; nil when it is UTF-8.
    private func encodingError(in part: Range<Int>) -> UserFacingError? {
        let text = Array(bytes[part])
        let invalid = firstInvalid(text)
        guard invalid < text.count else { return nil }
        let place = part.lowerBound + invalid
        let feed = bytes[..<place].lastIndex(of: UInt8(ascii: "\n"))
        let before = bytes[..<(feed.map { $0 + 1 } ?? 0)]
        // Whole texts in another encoding are recognised by more than one line.
        let isAlone = before.contains { $0 >= 0x80 } && firstInvalid(Array(before)) == before.count
        let end = bytes[place...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
        let start = feed.map { $0 + 1 } ?? 0
        let sample = isAlone ? bytes[start..<end] : bytes[start...].prefix(1 << 16)
        return .notUTF8(
            path: path, line: line(at: place),
            byte: offset + place - (feed.map { offset + $0 + 1 } ?? lineStart),
            encoding: TextEncoding(guessing: sample), isAlone: isAlone)
    }

    /// Where a text begins, in words: its file, and its line or row.
    package func place(of index: Int) -> String {
        "\(path), \(rows == nil ? "line" : "row") \(line(of: index))"
    }

    /// The line on which a text begins, or its row, from 1.
    package func line(of index: Int) -> Int {
        switch kind {
        case .lines, .rows: firstLine + index
        case .whole: line(at: parts[index].lowerBound)
        }
    }

    private func line(at place: Int) -> Int {
        firstLine + bytes[..<place].count { $0 == UInt8(ascii: "\n") }
    }
}

/// Whether bytes are UTF-8.
func isUTF8(_ bytes: Span<UInt8>) -> Bool {
    do {
        _ = try UTF8Span(validating: bytes)
        return true
    } catch {
        return false
    }
}

/// Where `bytes` stop being UTF-8; their count when they don't.
package func firstInvalid(_ bytes: [UInt8]) -> Int {
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    var offset = 0
    while true {
        switch decoder.decode(&iterator) {
        case .scalarValue(let scalar): offset += UTF8.width(scalar)
        case .emptyInput, .error: return offset
        }
    }
}
