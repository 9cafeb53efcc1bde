/// The beginning of a file: how it counts, and where its root group is.
///
/// Source: HDF5 file format specification 3.0, II.A, "Disk Format: Level 0A - Format Signature and Superblock".
struct HDF5Superblock {
    /// How many entries the nodes of trees have at most, halved.
    struct Settings {
        /// Of symbols in a leaf.
        var leaf = 4
        /// Of children in a group's tree.
        var group = 16
        /// Of chunks in a dataset's tree.
        var chunks = 32
    }

    /// Where the file's addresses count from.
    let base: Int
    /// How many bytes addresses and lengths take.
    let sizes: HDF5Sizes
    /// Where the root group's header is.
    let root: Int
    /// Where more of the superblock is.
    let extensionAddress: Int?
    /// How large the nodes of trees are.
    var settings = Settings()

    /// Every HDF5 file begins with these bytes, or has them at byte 512, 1024, 2048 and so on.
    static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]

    /// Where the superblock begins; nil when there is none.
    static func place(in file: InputFile) throws(UserFacingError) -> Int? {
        var place = 0
        while place + signature.count <= file.size {
            if try file.bytes(at: place, count: signature.count) == signature { return place }
            place = max(512, place * 2)
        }
        return nil
    }

    /// Reads and checks a file's superblock.
    init(_ file: InputFile) throws(UserFacingError) {
        let name = "the superblock"
        let bytes: [UInt8]
        base = try Self.place(in: file) ?? 0
        bytes = try file.bytes(at: base, count: min(256, file.size - base))
        var start = HDF5Cursor(bytes, at: base, name, sizes: HDF5Sizes(address: 8, length: 8))
        _ = try start.take(8)
        let version = try start.version(0...3)
        if version < 2 {
            // The versions of the list of free space, of the root's entry, and of messages kept elsewhere.
            let versions = Array(try start.take(4))
            guard [0, 1, 3].allSatisfy({ versions[$0] == 0 }) else {
                throw start.damaged("has parts of the unknown versions \(versions)")
            }
        }
        sizes = HDF5Sizes(address: try start.number(1), length: try start.number(1))
        guard [2, 4, 8].contains(sizes.address), [2, 4, 8].contains(sizes.length) else {
            throw .damagedHDF5(
                "\(name) has addresses of \(sizes.address) and lengths of \(sizes.length) bytes")
        }
        var rest = HDF5Cursor(bytes, at: base, name, sizes: sizes)
        _ = try rest.take(bytes.count - start.left)
        guard try rest.number(1) & 1 == 0 || version < 3 else {
            throw .damagedHDF5("\(name) says that the file is still being written, or was never closed")
        }
        if version < 2 {
            settings.leaf = try rest.number(2)
            settings.group = try rest.number(2)
            _ = try rest.take(4)
            if version == 1 {
                settings.chunks = try rest.number(2)
                _ = try rest.take(2)
            }
        }
        guard try rest.address() == base else {
            throw .damagedHDF5("\(name) at byte \(base) says that it is elsewhere")
        }
        let more = try rest.optionalAddress()
        let end = try rest.address()
        guard end <= file.size else {
            throw .damagedHDF5("the file has \(file.size) bytes, and \(name) says \(end)")
        }
        if version < 2 {
            // A description of drivers: the data is in other files.
            guard try rest.optionalAddress() == nil else { throw .hdf5Storage("kept in several files") }
            _ = try rest.length()
        }
        extensionAddress = version < 2 ? nil : more
        root = try rest.address()
        if version > 1 {
            var whole = HDF5Cursor(bytes, at: base, name, sizes: sizes)
            _ = try whole.summed(12 + 4 * sizes.address)
        }
        try checkSettings()
    }

    private func checkSettings() throws(UserFacingError) {
        guard settings.leaf > 0, settings.group > 0, settings.chunks > 0 else {
            throw .damagedHDF5("the superblock has trees without entries")
        }
    }

    /// The settings as the superblock's extension has them, having checked that it says nothing else of weight.
    func extended(by header: HDF5ObjectHeader) throws(UserFacingError) -> Settings {
        var extended = self
        for message in header.messages {
            var body = message.body
            switch message.kind {
            // Where free space is listed is of no use to a reader.
            case .nothing, .freeSpace: continue
            case .treeSizes:
                _ = try body.version(0...0)
                extended.settings.chunks = try body.number(2)
                extended.settings.group = try body.number(2)
                extended.settings.leaf = try body.number(2)
                try extended.checkSettings()
            default: throw .hdf5Storage("described by a message \(message.kind.rawValue) of its superblock")
            }
        }
        return extended.settings
    }
}
