/// The heap in which strings of any length lie, read without the library, which trusts what it finds there.
///
/// Source: HDF5 file format specification 3.0, III.E, "Disk Format: Level 1E - Global Heap".
struct HDF5Heap {
    private let file: SourceFile
    /// Where the file's addresses count from.
    private let base: Int
    private let addressSize: Int
    private let lengthSize: Int
    private var collections: [Int: [Int: Range<Int>]] = [:]

    /// The most bytes of a collection.
    private static let largest = 64 << 20

    /// How many bytes of attributes may still come: about as many as there are in the file.
    private var budget: Int

    /// The heap of a file that begins with this superblock.
    init(file: SourceFile, superblock: HDF5Superblock) {
        (self.file, base) = (file, superblock.base)
        (addressSize, lengthSize) = (superblock.sizes.address, superblock.sizes.length)
        budget = 2 * file.size + 1 << 20
    }

    /// Counts bytes of attributes: many may be said to be at one place.
    mutating func spend(_ count: Int) throws(HDF5Error) {
        budget -= count
        guard budget >= 0 else { throw damaged("more than the file can hold") }
    }

    /// How many bytes say where a string lies.
    var referenceSize: Int { 8 + addressSize }

    /// The string that a reference leads to: length, address of the collection, number in it.
    mutating func string(_ reference: ArraySlice<UInt8>) throws(HDF5Error) -> String {
        let count = Self.number(reference.prefix(4))
        let address = Self.number(reference.dropFirst(4).prefix(addressSize))
        let index = Self.number(reference.suffix(4))
        guard let count, let index, count > 0 else { return "" }
        guard let address, let start = Self.sum(base, address) else {
            throw damaged("an address beyond any file")
        }
        if collections[start] == nil { collections[start] = try objects(at: start) }
        guard let place = collections[start]?[index], place.count >= count else {
            throw damaged("no string \(index) of \(count) bytes at byte \(start)")
        }
        try spend(count)
        do {
            let bytes = try file.bytes(at: place.lowerBound, count: count)
            return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        } catch {
            throw .file(error)
        }
    }

    /// Where in the file the objects of a collection are, by their numbers.
    private func objects(at start: Int) throws(HDF5Error) -> [Int: Range<Int>] {
        let headerSize = 8 + lengthSize
        let header = try bytes(at: start, count: headerSize)
        guard header.prefix(5).elementsEqual(Array("GCOL".utf8) + [1]),
            let size = Self.number(header[8...]), size >= headerSize, size <= Self.largest
        else { throw damaged("no heap at byte \(start)") }
        let whole = try bytes(at: start, count: size)
        var objects: [Int: Range<Int>] = [:]
        var place = headerSize
        while place + headerSize <= size {
            guard let index = Self.number(whole[place..<place + 2]), index > 0 else { break }
            let data = place + headerSize
            guard let count = Self.number(whole[place + 8..<data]), count <= size - data else {
                throw damaged("a string beyond its heap at byte \(start + place)")
            }
            objects[index] = start + data..<start + data + count
            place = data + (count + 7) / 8 * 8
        }
        return objects
    }

    private func bytes(at start: Int, count: Int) throws(HDF5Error) -> [UInt8] {
        guard start <= file.size, count <= file.size - start else {
            throw damaged("a heap that reaches beyond the file's end, \(file.size)")
        }
        do { return try file.bytes(at: start, count: count) } catch { throw .file(error) }
    }

    private func damaged(_ reason: String) -> HDF5Error {
        .library(file: file.path, path: "", doing: "searched for strings", reason: reason)
    }

    /// A little-endian number; nil when it is larger than any file.
    private static func number(_ bytes: ArraySlice<UInt8>) -> Int? {
        let number = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return number > UInt64(Int.max) ? nil : Int(number)
    }

    private static func sum(_ left: Int, _ right: Int) -> Int? {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? nil : sum
    }
}
