/// Checks how a file is built before the library sees it, which trusts what it reads: a number changed in a header
/// makes it read and write beyond its memory, follow a circle, or divide by zero.
///
/// The library is asked for an object only after ``check(objectAt:)`` has found everything sound that it visits on
/// the way: the object's header with all messages, attributes and links among them, and the trees and heaps in which
/// they, or a dataset's chunks, are kept. What numbers say is left as it is; so is what nobody asks the library for.
///
/// Source: HDF5 file format specification 3.0, https://docs.hdfgroup.org/hdf5/develop/_f_m_t3.html
struct HDF5Checker {
    /// The file.
    let file: SourceFile
    /// Where it begins, and how it counts.
    private(set) var superblock: HDF5Superblock
    /// The structures that have been checked: each belongs to one place.
    private var visited: Set<Int> = []
    /// What the objects whose headers have been checked lead to.
    private var objects: [Int: HDF5Contents] = [:]
    /// What the object that is being checked leads to.
    var found = HDF5Contents()
    /// How many bytes of structure may still come: there are not more of them than bytes in the file, and
    /// beginnings are read twice.
    private var budget: Int

    /// Checks a file's superblock, and what it leads to.
    init(_ file: SourceFile) throws(HDF5Refusal) {
        self.file = file
        budget = 2 * file.size + 4096
        superblock = try HDF5Superblock(file)
        if let address = superblock.extensionAddress {
            let header = try HDF5Header(at: address, in: &self)
            superblock.settings = try superblock.extended(by: header)
        }
        _ = try check(objectAt: superblock.root)
    }

    /// Checks the object whose header is at an address, and says what it leads to.
    mutating func check(objectAt address: Int) throws(HDF5Refusal) -> HDF5Contents {
        if let known = objects[address] { return known }
        found = HDF5Contents()
        let header = try HDF5Header(at: address, in: &self)
        try check(header)
        try found.sort()
        objects[address] = found
        return found
    }

    /// The bytes at an address.
    mutating func bytes(at address: Int, count: Int, _ name: String) throws(HDF5Refusal) -> HDF5Cursor {
        let size = file.size - superblock.base
        guard count >= 0, address >= 0, address <= size, count <= size - address else {
            throw .damaged("\(name) at byte \(address) reaches beyond the file's end, \(size)")
        }
        try spend(count, name)
        do {
            let bytes = try file.bytes(at: superblock.base + address, count: count)
            return HDF5Cursor(bytes[...], name, sizes: superblock.sizes)
        } catch {
            throw .file(error)
        }
    }

    /// Counts bytes of structure, of which there are not more than in the file.
    mutating func spend(_ count: Int, _ name: String) throws(HDF5Refusal) {
        budget -= count
        guard budget >= 0 else { throw .damaged("\(name) is part of more than the file can hold") }
    }

    /// Notes that a structure is reached, which happens once.
    mutating func visit(_ address: Int, _ name: String) throws(HDF5Refusal) {
        guard visited.insert(address).inserted else {
            throw .damaged("\(name) at byte \(address) is reached in two ways")
        }
    }
}
