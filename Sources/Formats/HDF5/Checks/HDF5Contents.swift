/// What an object's header leads to, as the checker found it.
///
/// The library is not asked to list links and attributes: where one of them can't be read, it frees what it has not
/// filled in. It is asked for each of them by itself.
struct HDF5Contents {
    /// A name in a group, and what it leads to.
    struct Link {
        /// What it is called.
        let name: String
        /// What it is: 0 hard, 1 soft, 64 external, others of users.
        let kind: Int
        /// Where the header of a hard link's object is.
        let address: Int?
    }

    /// The links of a group.
    private(set) var links: [Link] = []
    /// Where a dataset's chunks are.
    var chunks = HDF5StoredChunks()
    /// The names of its attributes.
    private(set) var attributes: [String] = []

    /// Adds a link.
    mutating func add(_ name: ArraySlice<UInt8>, kind: Int, address: Int?) {
        links.append(Link(name: String(decoding: name, as: UTF8.self), kind: kind, address: address))
    }

    /// Adds an attribute.
    mutating func addAttribute(_ name: ArraySlice<UInt8>) {
        attributes.append(String(decoding: name, as: UTF8.self))
    }

    /// Puts all in the order of their names, each of which may stand there once.
    mutating func sort() throws(HDF5Refusal) {
        links.sort { $0.name < $1.name }
        attributes.sort()
        for names in [links.map(\.name), attributes] {
            for (name, next) in zip(names, names.dropFirst()) where name == next {
                throw .damaged("two links or attributes are called \(name)")
            }
        }
    }
}
