/// Files of text divided into parts that are read by themselves, in any order, by any number of threads or machines.
///
/// A part of lines is those that begin in a range of the file's bytes; a row group of a Parquet file is one. What can't be
/// entered in the middle is one part: a `.txt`, which is one document, and a file that is packed. Which parts there are follows
/// from the files' names and sizes and the row groups alone, so memory holds some bytes a file and a row group.
package struct TextParts: Sendable {
    /// A file of text, as it was when the parts were made.
    package struct File: Sendable {
        /// Its path as it was found.
        package let path: String
        /// What tells this version of it from any other.
        fileprivate let identity: FileIdentity
        /// The columns of a table beside that of its texts.
        package let columns: [String]
        /// Those of them that can't be read.
        package let unreadColumns: [String]
        fileprivate let division: Division
        /// Its first part.
        fileprivate let start: Int

        /// Its bytes.
        package var size: Int { identity.size }
        /// When it was changed last, in seconds since 1970.
        package var modified: Int { identity.seconds }
        /// What tells this version of it from another, as records have it.
        package var record: JSON { identity.record(path: path) }
    }

    /// What the parts of a file are.
    fileprivate enum Division: Sendable {
        /// The lines that begin in so many bytes each.
        case lines
        /// The file, which is one document or is packed.
        case whole
        /// A row group each, of which the texts take so many bytes.
        case rowGroups([Int])
    }

    /// The files, in order.
    package private(set) var files: [File] = []
    /// What was found on the way to them.
    package let findings: TextFindings
    /// How many parts there are.
    package private(set) var count = 0
    private let options: TextOptions
    private let fields: TextFields
    private let partSize: Int

    /// Divides files.
    ///
    /// - Parameters:
    ///   - arguments: files, folders or patterns.
    ///   - options: how documents are read.
    ///   - fields: what documents of tables bring along beside their texts.
    ///   - partSize: the bytes of a part of lines; at least 1.
    /// - Throws: ``UserFacingError`` naming the first argument that can't be read, or can be read only once.
    package init(
        _ arguments: [String], options: TextOptions, fields: TextFields = .none, partSize: Int
    ) throws(UserFacingError) {
        let found = try TextPaths(arguments)
        findings = found.findings
        (self.options, self.fields, self.partSize) = (options, fields, partSize)
        for path in found.paths { try add(path) }
    }

    /// Divides one more file, which comes behind the others.
    ///
    /// - Throws: ``UserFacingError`` when it can't be read, or can be read only once.
    package mutating func add(_ path: String) throws(UserFacingError) {
        guard !TextFile.isPipe(path) else { throw .pipeInPlaceOfFile(path: path) }
        let input = try InputFile(path: path)
        let (division, table) = try Self.division(of: input, options, fields)
        files.append(
            File(
                path: path, identity: input.identity, columns: table?.columns ?? [],
                unreadColumns: table?.unreadColumns ?? [], division: division, start: count)
        )
        switch division {
        case .lines: count += (input.size + partSize - 1) / partSize
        case .whole: count += 1
        case .rowGroups(let sizes): count += sizes.count
        }
    }

    private static func division(
        of input: InputFile, _ options: TextOptions, _ fields: TextFields
    ) throws(UserFacingError) -> (Division, ParquetTexts?) {
        guard Packing(try TextFile.head(of: input)) == nil else { return (.whole, nil) }
        let text = try TextFile(path: input.path)
        switch text.kind {
        case .lines: return (.lines, nil)
        case .whole: return (.whole, nil)
        case .rows:
            let texts = try ParquetTexts(text, options, fields: fields)
            return (.rowGroups(texts.groupSizes), texts)
        }
    }

    /// The bytes that a part has in its file.
    package func byteCount(_ part: Int) -> Int {
        let file = file(of: part)
        return switch file.division {
        case .whole: file.size
        case .lines: min(partSize, file.size - (part - file.start) * partSize)
        case .rowGroups(let sizes): sizes[part - file.start]
        }
    }

    /// Reads the texts of a part, each of which is a document.
    ///
    /// - Parameters:
    ///   - part: which.
    ///   - visit: is given some texts at a time; where it throws, it may be called once more, with lines that are named rightly.
    /// - Throws: ``UserFacingError`` when the file has changed or can't be read, and what `visit` throws.
    package func forEachBatch(
        of part: Int, _ visit: (DocumentBatch) throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        let file = file(of: part)
        guard FileIdentity(path: file.path) == file.identity else { throw .changedFile(path: file.path) }
        let text = try TextFile(path: file.path)
        if case .whole = text.kind {
            guard text.file.size > 0 else { return }
            let bytes = try text.file.bytes()
            return try visit(DocumentBatch(document: bytes, of: text, DocumentReader(options)))
        }
        if case .rowGroups(let sizes) = file.division {
            let texts = try ParquetTexts(text, options, fields: fields)
            guard texts.groupSizes == sizes else { throw .changedFile(path: file.path) }
            return try texts.forEachBatch(ofRowGroup: part - file.start, visit)
        }
        guard case .lines = file.division else { return try Documents.forEachBatch(of: text, options, visit) }
        guard let range = try lines(of: part, file, text.file) else { return }
        do throws(UserFacingError) {
            try Documents.forEachBatch(of: text, options, in: range, visit)
        } catch {
            // Nobody counts lines until one has to be named.
            guard range.lowerBound > 0, !error.isInterruption else { throw error }
            let before = try Self.lineFeeds(in: 0..<range.lowerBound, of: text.file)
            try Documents.forEachBatch(of: text, options, in: range, firstLine: before + 1, visit)
            throw error
        }
    }

    /// Why the first line or row of a part is passed over that is, with the number that it has in its file.
    package func firstSkipped(of part: Int) throws(UserFacingError) -> String? {
        let file = file(of: part)
        let text = try TextFile(path: file.path)
        var findings = TextFindings()
        func look(_ batch: DocumentBatch) throws(UserFacingError) {
            for index in batch.parts.indices where findings.firstSkipped == nil {
                _ = try batch.text(index, noting: &findings)
            }
        }
        switch file.division {
        case .rowGroups: try ParquetTexts(text, options).forEachBatch(ofRowGroup: part - file.start, look)
        case .whole: try Documents.forEachBatch(of: text, options, look)
        case .lines:
            guard let lines = try lines(of: part, file, text.file) else { return nil }
            let before = try Self.lineFeeds(in: 0..<lines.lowerBound, of: text.file)
            try Documents.forEachBatch(of: text, options, in: lines, firstLine: before + 1, look)
        }
        return findings.firstSkipped
    }

    private func file(of part: Int) -> File { files[fileNumber(of: part)] }

    /// Which file a part is of.
    package func fileNumber(of part: Int) -> Int {
        var (low, high) = (0, files.count - 1)
        while low < high {
            let middle = (low + high + 1) / 2
            if files[middle].start <= part { low = middle } else { high = middle - 1 }
        }
        // Files without a byte begin where the next one does, and have no part.
        return low
    }

    // MARK: Lines

    /// The bytes of the lines that begin in a part; nil where none does.
    private func lines(
        of part: Int, _ file: File, _ input: InputFile
    ) throws(UserFacingError) -> Range<Int>? {
        let start = (part - file.start) * partSize
        let end = min(start + partSize, input.size)
        guard let first = try Self.lineStart(from: start, to: end, in: input) else { return nil }
        return first..<(try Self.lineStart(from: end, to: input.size, in: input) ?? input.size)
    }

    /// Where the first line begins that begins in a range; nil where none does.
    private static func lineStart(
        from start: Int, to end: Int, in input: InputFile
    ) throws(UserFacingError) -> Int? {
        if start == 0 { return 0 }
        var offset = start - 1
        while offset < end - 1 {
            let bytes = try input.bytes(at: offset, count: min(1 << 16, end - 1 - offset))
            if let feed = bytes.firstIndex(of: UInt8(ascii: "\n")) { return offset + feed + 1 }
            offset += bytes.count
        }
        return nil
    }

    private static func lineFeeds(in range: Range<Int>, of input: InputFile) throws(UserFacingError) -> Int {
        var (offset, count) = (range.lowerBound, 0)
        while offset < range.upperBound {
            let bytes = try input.bytes(at: offset, count: min(1 << 20, range.upperBound - offset))
            count += bytes.count { $0 == UInt8(ascii: "\n") }
            offset += bytes.count
        }
        return count
    }
}
