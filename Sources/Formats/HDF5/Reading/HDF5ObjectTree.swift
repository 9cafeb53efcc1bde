/// Everything in an HDF5 file: its groups and its datasets.
///
/// Nothing is followed out of the file, and nothing twice: no soft or external link, no group that is reached in
/// two ways. That is what Keras refuses, too (keras/src/saving/saving_lib.py).
struct HDF5ObjectTree {
    /// The attributes of each group by its path; the root's path is empty.
    private(set) var groups: [(path: String, attributes: [HDF5Attribute])] = []
    /// The datasets, in the order of their paths, numbers in them by their value.
    private(set) var datasets: [HDF5Dataset] = []
    private var reader: HDF5Reader
    /// The objects that have been read by the addresses of their headers; groups are not datasets.
    private var known: [Int: (path: String, dataset: HDF5Dataset?)] = [:]

    /// How many groups may lie inside each other.
    static let deepest = 64

    /// Reads all objects of a file.
    ///
    /// - Throws: ``UserFacingError`` for whatever can't be read or leads out of the file.
    init(_ file: InputFile) throws(UserFacingError) {
        do { reader = try HDF5Reader(file) } catch { throw error.at("", of: file) }
        try visit(reader.superblock.root, path: "", depth: 0)
        groups.sort { NaturalOrder.precedes($0.path, $1.path) }
        datasets.sort { NaturalOrder.precedes($0.path, $1.path) }
    }

    /// Reads the object whose header is at an address, and all below it.
    private mutating func visit(_ address: Int, path: String, depth: Int) throws(UserFacingError) {
        let file = reader.file
        if let (first, dataset) = known[address] {
            guard var dataset else { throw .groupCycle(first: first).at(path, of: file) }
            dataset.path = path
            datasets.append(dataset)
            return
        }
        let object: HDF5Object
        var dataset: HDF5Dataset?
        do {
            object = try HDF5Object(at: address, in: &reader)
            dataset = try HDF5Dataset(object, address: address, path: path, file: file)
        } catch {
            throw error.at(path, of: file)
        }
        known[address] = (path, dataset)
        switch object.kind {
        case .group(let links):
            groups.append((path, object.attributes))
            for link in links { try follow(link, path: path, depth: depth + 1) }
        case .dataset: if let dataset { datasets.append(dataset) }
        case .datatype: throw .hdf5Kind("a named type").at(path, of: file)
        }
    }

    private mutating func follow(
        _ link: HDF5Object.Link, path: String, depth: Int
    ) throws(UserFacingError) {
        let file = reader.file
        let inner = path.isEmpty ? link.name : path + "/" + link.name
        // Others would take such names for paths.
        guard !link.name.isEmpty, link.name != ".", !link.name.contains("/"), !link.name.contains("\0") else {
            throw .hdf5Link("an unnamed or misnamed").at(inner, of: file)
        }
        guard depth <= Self.deepest else { throw .tooDeep.at(inner, of: file) }
        switch (link.kind, link.address) {
        case (0, let address?): try visit(address, path: inner, depth: depth)
        case (0, nil): throw .hdf5Link("an empty").at(inner, of: file)
        case (1, _): throw .hdf5Link("a soft").at(inner, of: file)
        case (64, _): throw .hdf5Link("an external").at(inner, of: file)
        default: throw .hdf5Link("a user-defined").at(inner, of: file)
        }
    }
}
