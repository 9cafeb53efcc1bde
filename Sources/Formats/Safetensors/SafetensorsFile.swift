/// A safetensors file whose header has been read and checked.
public struct SafetensorsFile: Sendable {
    /// The file, open.
    public let file: InputFile
    /// What it holds.
    public let header: SafetensorsHeader
    /// Where the data begins, in bytes from the file's start.
    public let dataOffset: Int

    /// Opens a file and checks its header.
    ///
    /// - Throws: ``UserFacingError`` for whatever the reference implementation refuses, too.
    public init(path: String) throws(UserFacingError) {
        try self.init(InputFile(path: path))
    }

    /// Checks the header of an open file.
    ///
    /// - Throws: ``UserFacingError`` for whatever the reference implementation refuses, too.
    public init(_ file: InputFile) throws(UserFacingError) {
        let (path, size) = (file.path, file.size)
        guard size >= 8 else { throw .tooShort(file: path, bytes: size) }
        let declared = try Self.bytes(of: file, at: 0, count: 8).reversed().reduce(UInt64(0)) {
            $0 << 8 | UInt64($1)
        }
        guard declared <= SafetensorsHeader.largestHeader else {
            throw .headerTooLarge(file: path, declared: declared)
        }
        let length = Int(declared)
        guard length <= size - 8 else {
            throw .headerCutOff(file: path, declared: length, available: size - 8)
        }
        header = try SafetensorsHeader(parsing: Self.bytes(of: file, at: 8, count: length), file: path)
        guard 8 + length + header.dataCount == size else {
            throw .wrongLength(
                file: path, bytes: size, expected: UInt64(8 + length) + UInt64(header.dataCount))
        }
        self.file = file
        dataOffset = 8 + length
    }

    /// The tensors, in the order of their data.
    public var tensors: [StoredTensor] {
        header.entries.compactMap { entry in
            // The header has been checked, so that type and shape agree with the bytes.
            try? StoredTensor(
                name: entry.name, type: entry.type, shape: entry.shape,
                range: FileRange(
                    file: file, offset: dataOffset + entry.bytes.lowerBound, count: entry.bytes.count))
        }
    }

    private static func bytes(of file: InputFile, at offset: Int, count: Int) throws(UserFacingError)
        -> [UInt8]
    {
        return try file.bytes(at: offset, count: count)
    }
}
