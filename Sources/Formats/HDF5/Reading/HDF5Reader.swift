/// What reads a file's structures, and trusts nothing in them.
///
/// Every structure lies inside the file and belongs to one place, and all of them together are not larger than the file
/// can hold. So a damaged file is refused and not followed in a circle, and takes no more memory than a sound one.
///
/// Source: HDF5 file format specification 3.0, https://docs.hdfgroup.org/hdf5/develop/_f_m_t3.html
struct HDF5Reader {
    /// The file.
    let file: InputFile
    /// Where it begins, and how it counts.
    private(set) var superblock: HDF5Superblock
    /// The objects of global heaps by their numbers, by where the heap is.
    var collections: [Int: [Int: HDF5Cursor]] = [:]
    private var visited: Set<Int> = []
    /// How many bytes of structure may still come: beginnings are read twice, and so are objects of heaps.
    private var budget: Int

    /// Reads a file's superblock, and what it leads to.
    init(_ file: InputFile) throws(HDF5FormatError) {
        self.file = file
        budget = 2 * file.size + 1 << 20
        superblock = try HDF5Superblock(file)
        if let address = superblock.extensionAddress {
            let header = try HDF5ObjectHeader(at: address, in: &self)
            superblock.settings = try superblock.extended(by: header)
        }
    }

    /// The bytes at an address.
    mutating func bytes(
        at address: Int, count: Int, _ name: String
    ) throws(HDF5FormatError) -> HDF5Cursor {
        let size = file.size - superblock.base
        guard count >= 0, address >= 0, address <= size, count <= size - address else {
            throw .damaged("\(name) at byte \(address) reaches beyond the file's end, \(size)")
        }
        try spend(count, name)
        let start = superblock.base + address
        do {
            let bytes = try file.bytes(at: start, count: count)
            return HDF5Cursor(bytes, at: start, name, sizes: superblock.sizes)
        } catch {
            throw .file(error)
        }
    }

    /// Counts bytes of structure, of which there are not more than in the file.
    mutating func spend(_ count: Int, _ name: String) throws(HDF5FormatError) {
        budget -= count
        guard budget >= 0 else { throw .damaged("\(name) is part of more than the file can hold") }
    }

    /// Notes that a structure is reached, which happens once.
    mutating func visit(_ address: Int, _ name: String) throws(HDF5FormatError) {
        guard visited.insert(address).inserted else {
            throw .damaged("\(name) at byte \(address) is reached in two ways")
        }
    }
}

/// Why a structure of a file was refused; the one who knows the object's path makes an ``HDF5Error`` of it.
enum HDF5FormatError: Error, Equatable {
    /// It is damaged: what is wrong with it.
    case damaged(String)
    /// It is sound, and of a kind that is not read: what it is.
    case storage(String)
    /// Data that is packed by a method that is not there.
    case filter(String)
    /// Elements that are no numbers of a known kind.
    case type(String)
    /// A shape that can't be right.
    case shape(String, expected: String)
    /// The system could not read it.
    case file(FileError)

    /// The error, with the file and the object.
    func error(file: String, path: String) -> HDF5Error {
        let path = path.isEmpty ? "/" : path
        return switch self {
        case .damaged(let reason): .damaged(file: file, path: path, reason: reason)
        case .storage(let found): .storage(file: file, path: path, found: found)
        case .filter(let name): .filter(file: file, path: path, name: name)
        case .type(let found): .type(file: file, path: path, found: found)
        case .shape(let found, let expected): .shape(file: file, path: path, found: found, expected: expected)
        case .file(let error): .file(error)
        }
    }
}
