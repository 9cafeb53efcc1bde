/// Documents that are read in any order; memory holds only where they lie, 16 bytes a document, and one byte more where some are
/// marked as synthetic.
///
/// The documents are those of ``Documents``, also empty ones; blank lines are none. Every one is checked when the files are
/// opened, so that
/// a run does not meet a bad one hours later.
package struct DocumentIndex: Sendable {
    /// What was named, as it was given: files, folders, patterns, pipes or `-`.
    package let path: String
    /// What there is to know of the texts.
    package let findings: TextFindings
    /// The SHA-256 of all documents as they are read, each followed by a byte that is in none.
    package let sha256: String
    /// The bytes of all documents as they are read.
    package let byteCount: Int
    private let files: [File]
    private let places: [Place]
    /// Which documents are marked as synthetic; empty where none is.
    private let marks: [Bool]
    private let reader: DocumentReader

    private struct File: Sendable {
        let kind: TextFile.Kind
        /// What documents are read from: of rows, their texts alone, in a file without a name.
        let content: InputFile
        /// Its first document.
        let start: Int
    }

    private struct Place: Sendable {
        var offset: Int
        var count: Int32
        var line: Int32
    }

    /// Opens what is named and checks every document.
    ///
    /// - Parameters:
    ///   - paths: files, folders, patterns, pipes, or `-` for standard input.
    ///   - options: how documents are read.
    ///   - tokenizer: whose control tokens are counted; nil counts none.
    ///   - isCancelled: asked again and again; true stops.
    /// - Throws: ``UserFacingError`` that names the first line that can't be used.
    package init(
        paths: [String], options: TextOptions = TextOptions(), tokenizer: Tokenizer? = nil,
        isCancelled: () -> Bool = { false }
    ) throws(UserFacingError) {
        let found = try TextPaths(paths)
        var findings = found.findings
        if found.paths.count > 200 { FileSystem.allowManyFiles() }
        var hasText = false
        var (files, places, byteCount): ([File], [Place], Int) = ([], [], 0)
        var marks: [Bool] = []
        let digest = SHA256()
        for path in found.paths {
            let file = try TextFile(path: path)
            let start = places.count
            let content = try Self.forEachBatch(of: file, options) { batch throws(UserFacingError) in
                if isCancelled() { throw .interrupted(" before all text was checked; begin again") }
                for (index, part) in batch.parts.enumerated() {
                    guard let text = try batch.text(index, noting: &findings) else { continue }
                    hasText = hasText || !text.isEmpty
                    tokenizer?.countControlTokens(in: text.span, into: &findings.controlTokens)
                    unsafe digest.update(text.span.bytes)
                    byteCount += text.count
                    if file.kind == .whole, places.count > start { continue }
                    if file.kind != .whole { digest.endDocument() }
                    let (offset, count, line) =
                        file.kind == .whole
                        ? (0, file.file.size, 1)
                        : (batch.offset + part.lowerBound, part.count, batch.line(of: index))
                    guard let size = Int32(exactly: count) else {
                        throw .documentTooLong(path: path, line: line, bytes: count)
                    }
                    if batch.synthesis(of: index) != nil {
                        marks += repeatElement(false, count: places.count - marks.count) + [true]
                    }
                    places.append(Place(offset: offset, count: size, line: Int32(clamping: line)))
                }
            }
            if file.kind == .whole, places.count > start { digest.endDocument() }
            files.append(File(kind: file.kind, content: content, start: start))
        }
        guard hasText else { throw .noDocuments(paths: paths, skipped: findings.firstSkipped) }
        path = paths.joined(separator: ", ")
        self.files = files
        self.places = places
        self.marks = marks
        self.findings = findings
        self.byteCount = byteCount
        sha256 = digest.finish()
        reader = DocumentReader(options)
    }

    /// Reads a file.
    ///
    /// - Returns: what can be read in any order: the file, or the texts of its rows in a file without a name.
    private static func forEachBatch(
        of file: TextFile, _ options: TextOptions, _ visit: (DocumentBatch) throws(UserFacingError) -> Void
    ) throws(UserFacingError) -> InputFile {
        guard file.kind == .rows else {
            try Documents.forEachBatch(of: file, options, visit)
            return file.file
        }
        return try TextFile.temporary(for: file.file.path) { write throws(UserFacingError) in
            try Documents.forEachBatch(of: file, options) { batch throws(UserFacingError) in
                try visit(batch)
                try write(batch.bytes.span)
            }
        }
    }

    /// Opens what one path names, and checks every document.
    package init(
        path: String, options: TextOptions = TextOptions(), tokenizer: Tokenizer? = nil
    ) throws(UserFacingError) {
        try self.init(paths: [path], options: options, tokenizer: tokenizer)
    }

    /// How many documents there are.
    package var count: Int { places.count }

    /// Whether a document is marked as synthetic, by the key `synthetic` of its line.
    package func isSynthetic(_ index: Int) -> Bool { marks.indices.contains(index) && marks[index] }

    /// Whether any document is.
    package var hasSynthetic: Bool { !marks.isEmpty }

    /// The end of a run of documents from `start` on that together take about so many bytes of the file.
    package func end(of bytes: Int, from start: Int) -> Int {
        var end = start
        var sum = 0
        while end < count, end == start || sum < bytes {
            sum += Int(places[end].count)
            end += 1
        }
        return end
    }

    /// The text of one document.
    ///
    /// - Throws: ``UserFacingError`` when it can't be read any more.
    package func text(_ index: Int) throws(UserFacingError) -> String {
        let place = places[index]
        let file = file(of: index)
        let path = file.content.path
        let bytes = try file.content.bytes(at: place.offset, count: Int(place.count))
        var findings = TextFindings()
        let text =
            switch file.kind {
            case .rows: reader.document(ofRow: bytes, noting: &findings)
            case .lines:
                try reader.document(
                    ofLine: bytes.span, path: path, line: Int(place.line), noting: &findings)
            case .whole:
                reader.document(ofFile: bytes, isStart: true, path: path, line: 1, noting: &findings)
            }
        // What was a document when it was checked may have been written over.
        guard let text else { throw .changedText(path: path, line: Int(place.line)) }
        return String(decoding: text, as: UTF8.self)
    }

    /// The text of one document as a prompt: of a file that is one document, the line feed at its end, which editors and
    /// `echo` put there, is no part of it.
    ///
    /// - Throws: ``UserFacingError`` when it can't be read any more.
    package func prompt(_ index: Int) throws(UserFacingError) -> String {
        let text = try text(index)
        guard file(of: index).kind == .whole else { return text }
        return text.hasSuffix("\r\n") || text.hasSuffix("\n") ? String(text.dropLast()) : text
    }

    /// The last file that begins at a document or before it.
    private func file(of document: Int) -> File {
        var (low, high) = (0, files.count - 1)
        while low < high {
            let middle = (low + high + 1) / 2
            if files[middle].start <= document { low = middle } else { high = middle - 1 }
        }
        return files[low]
    }
}

extension SHA256 {
    /// Adds what stands between two documents, a byte that UTF-8 never has.
    fileprivate func endDocument() {
        let end: [UInt8] = [0xFF]
        unsafe update(end.span.bytes)
    }
}
