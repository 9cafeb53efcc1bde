internal import Glibc
internal import Synchronization

/// A file of documents, open: its bytes in any order, and how documents lie in them.
///
/// What is packed, and what comes through a pipe, is unpacked into a file without a name in the folder for temporary
/// files (`TMPDIR`); the system removes it when nobody reads it any more.
struct TextFile: Sendable {
    /// How documents lie in a file.
    enum Kind: Sendable {
        /// A line each, as JSON.
        case lines
        /// The file is one.
        case whole
        /// A row each of a Parquet file.
        case rows
    }

    /// What can be read in any order; it goes by the path that was given.
    let file: InputFile
    let kind: Kind

    /// The first bytes that are looked at.
    private static let headSize = 4096

    /// Opens a file, a pipe, or standard input, which is called `-`.
    ///
    /// - Parameters:
    ///   - path: what to open.
    ///   - known: how its lines are read, where its name is not one of text; nil asks the name.
    /// - Throws: ``UserFacingError`` that says what it is instead of text, and what to do.
    init(path: String, as known: Kind? = nil) throws(UserFacingError) {
        var file = try Self.opened(path)
        if let packing = Packing(try Self.head(of: file)) {
            file = try Self.temporary(for: path) { write throws(UserFacingError) in
                try packing.unpack(file, write)
            }
        }
        let head = try Self.head(of: file)
        try Self.refuseOthers(head, file)
        self.file = file
        if let known { kind = known } else { kind = try Self.kind(path, head) }
    }

    /// How documents lie in a file of this name, which may say that it is packed; nil for names that say nothing of text.
    static func kind(ofName path: String) -> Kind? {
        switch suffix(ofName: path) {
        case "jsonl", "ndjson", "json": .lines
        case "txt": .whole
        case "parquet", "pq": .rows
        default: nil
        }
    }

    /// The ending of a name, that of its packing left out.
    static func suffix(ofName path: String) -> String {
        var name = Path.name(path)[...]
        if ["gz", "zst"].contains(Path.suffix(path)) {
            name = name[..<(name.lastIndex(of: ".") ?? name.endIndex)]
        }
        return Path.suffix(String(name))
    }

    /// Whether a path is no plain file that could be opened twice.
    static func isPipe(_ path: String) -> Bool { path == "-" || FileSystem.kind(of: path) == .other }

    /// By the name; where a pipe has none, by the first character.
    private static func kind(_ path: String, _ head: ArraySlice<UInt8>) throws(UserFacingError) -> Kind {
        // What a Parquet file is called says nothing, and no other file begins so.
        if head.starts(with: ParquetFile.magic) { return .rows }
        let text = head.starts(with: byteOrderMark) ? head.dropFirst(byteOrderMark.count) : head
        let first = text.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) }
        let isJSON = first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
        guard let kind = kind(ofName: path) ?? (isPipe(path) ? (isJSON ? .lines : .whole) : nil) else {
            throw .unknownKind(path: path)
        }
        guard kind != .rows else { throw .noParquet(path: path) }
        guard kind == .lines, isJSON else { return kind }
        if first == UInt8(ascii: "[") { throw .notLines(path: path, found: "an array", filter: ".[]") }
        // An object whose first line is its bracket alone is written over several lines.
        let line = text.drop { [0x20, 0x09, 0x0A, 0x0D].contains($0) }.prefix { $0 != UInt8(ascii: "\n") }
        if line.dropFirst().allSatisfy({ [0x20, 0x09, 0x0D].contains($0) }), line.count < text.count {
            throw .notLines(path: path, found: "an object over several lines", filter: ".")
        }
        return kind
    }

    /// Refuses what other programs unpack or convert, by its first bytes.
    private static func refuseOthers(_ head: ArraySlice<UInt8>, _ file: InputFile) throws(UserFacingError) {
        let path = file.path
        func refuse(_ format: String, _ command: String) throws(UserFacingError) {
            throw .packedText(
                path: path, format: format, advice: "unpack it: \(command) '\(path)' | trainer … -")
        }
        if head.starts(with: ParquetFile.encryptedMagic) { throw .encryptedParquet(path: path) }
        if head.starts(with: "BZh".utf8),
            head.dropFirst(4).starts(with: [0x31, 0x41, 0x59, 0x26, 0x53, 0x59])
        {
            try refuse("packed by bzip2", "bzcat")
        }
        if head.starts(with: [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]) { try refuse("packed by xz", "xzcat") }
        if head.starts(with: [0x04, 0x22, 0x4D, 0x18]) { try refuse("packed by LZ4", "lz4cat") }
        if head.starts(with: [0x50, 0x4B, 0x03, 0x04]) { try refuse("a ZIP archive", "unzip -p") }
        if head.dropFirst(257).starts(with: "ustar".utf8) { try refuse("a tar archive", "tar -xOf") }
        if head.starts(with: "version https://git-lfs".utf8) {
            throw .packedText(
                path: path, format: "a pointer of Git LFS in place of the file",
                advice: "get it by git lfs pull")
        }
        if let encoding = TextEncoding(ofWideUnits: head) { throw .otherEncoding(path: path, encoding) }
    }

    /// The first bytes, by which a file is known.
    static func head(of file: InputFile) throws(UserFacingError) -> ArraySlice<UInt8> {
        try file.bytes(at: 0, count: min(headSize, file.size))[...]
    }

    // MARK: Pipes

    /// Opens a file; of what is none, all bytes are taken first.
    private static func opened(_ path: String) throws(UserFacingError) -> InputFile {
        if path != "-", FileSystem.kind(of: path) != .other { return try InputFile(path: path) }
        let pipe = try InputPipe(path)
        return try temporary(for: path) { write throws(UserFacingError) in
            var buffer = [UInt8](repeating: 0, count: 1 << 20)
            while true {
                let count = try pipe.read(&buffer)
                if count == 0 { return }
                try write(buffer.span.extracting(first: count))
            }
        }
    }

    /// A file without a name, filled.
    static func temporary(
        for path: String,
        _ fill: ((Span<UInt8>) throws(UserFacingError) -> Void) throws(UserFacingError) -> Void
    ) throws(UserFacingError) -> InputFile {
        let temporary = try TemporaryFile()
        let output = try WritableFile(path: temporary.path)
        var size = 0
        try fill { bytes throws(UserFacingError) in
            do throws(UserFacingError) {
                try output.write(unsafe bytes.bytes, at: size)
            } catch {
                guard error.kind == .system(code: ENOSPC) || error.kind == .system(code: EDQUOT) else {
                    throw error
                }
                throw .noRoomToUnpack(path: path, folder: Path.parent(temporary.path))
            }
            size += bytes.count
        }
        return try InputFile(path: temporary.path, called: path)
    }
}

/// A pipe, or standard input, that is read once.
private struct InputPipe: ~Copyable {
    private let path: String
    private let descriptor: Int32

    /// Whether standard input was read, which happens once.
    private static let hasReadStandardInput = Mutex(false)

    init(_ path: String) throws(UserFacingError) {
        descriptor = try path == "-" ? Self.standardInput() : Self.opened(path)
        self.path = path
    }

    private static func opened(_ path: String) throws(UserFacingError) -> Int32 {
        let descriptor = retrying { unsafe open(path, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw .file(.open, path) }
        return descriptor
    }

    private static func standardInput() throws(UserFacingError) -> Int32 {
        guard isatty(STDIN_FILENO) == 0 else {
            throw .unusableStandardInput(
                reason: "it is a terminal", advice: "give it texts, as in zcat texts.jsonl.gz | trainer … -")
        }
        let wasRead = hasReadStandardInput.withLock { was in
            defer { was = true }
            return was
        }
        guard !wasRead else {
            throw .unusableStandardInput(
                reason: "it was named twice, and can be read once", advice: "keep it in a file")
        }
        let descriptor = dup(STDIN_FILENO)
        guard descriptor >= 0 else { throw .file(.open, "standard input") }
        return descriptor
    }

    deinit { close(descriptor) }

    /// Fills the buffer from its start; gives 0 at the end.
    func read(_ buffer: inout [UInt8]) throws(UserFacingError) -> Int {
        let room = buffer.count
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            retrying { unsafe Glibc.read(descriptor, bytes.baseAddress, room) }
        }
        guard count >= 0 else { throw .file(.read, path) }
        return count
    }
}
