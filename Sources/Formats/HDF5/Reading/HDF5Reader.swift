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
    init(_ file: InputFile) throws(UserFacingError) {
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
    ) throws(UserFacingError) -> HDF5Cursor {
        let size = file.size - superblock.base
        guard count >= 0, address >= 0, address <= size, count <= size - address else {
            throw .damagedHDF5("\(name) at byte \(address) reaches beyond the file's end, \(size)")
        }
        try spend(count, name)
        let start = superblock.base + address
        let bytes = try file.bytes(at: start, count: count)
        return HDF5Cursor(bytes, at: start, name, sizes: superblock.sizes)
    }

    /// Counts bytes of structure, of which there are not more than in the file.
    mutating func spend(_ count: Int, _ name: String) throws(UserFacingError) {
        budget -= count
        guard budget >= 0 else { throw .damagedHDF5("\(name) is part of more than the file can hold") }
    }

    /// Notes that a structure is reached, which happens once.
    mutating func visit(_ address: Int, _ name: String) throws(UserFacingError) {
        guard visited.insert(address).inserted else {
            throw .damagedHDF5("\(name) at byte \(address) is reached in two ways")
        }
    }
}
