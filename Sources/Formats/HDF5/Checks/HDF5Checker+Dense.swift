extension HDF5Checker {
    /// Checks what a group says of its links (IV.A.2.c), and those that are in a heap.
    mutating func checkLinks(_ message: HDF5Cursor?) throws(HDF5Refusal) {
        // By name: a hash, and which object of the heap it is.
        try checkDense(message, orderSize: 8, kind: 5, recordSize: 11, identifierSize: 7) {
            checker, record, heap throws(HDF5Refusal) in
            _ = try record.take(4)
            try checker.checkLink(heap.object(record, in: &checker))
        }
    }

    /// Checks what an object says of its attributes (IV.A.2.v), and those that are in a heap.
    mutating func checkAttributes(_ message: HDF5Cursor?) throws(HDF5Refusal) {
        // By name: which object of the heap it is, flags, a number and a hash.
        try checkDense(message, orderSize: 2, kind: 8, recordSize: 17, identifierSize: 8) {
            checker, record, heap throws(HDF5Refusal) in
            let identifier = try record.part(8, "an attribute's record")
            guard try record.number(1) & 2 == 0 else {
                throw .storage("described by an attribute that is kept elsewhere")
            }
            try checker.checkAttribute(heap.object(identifier, in: &checker))
        }
    }

    /// Checks the heap and the tree that a message names, and every object that the tree lists.
    ///
    /// Where the order of making is kept, the message says so, in a number of `orderSize` bytes and the address of another
    /// tree.
    private mutating func checkDense(
        _ message: HDF5Cursor?, orderSize: Int, kind: Int, recordSize: Int, identifierSize: Int,
        _ visit: (inout HDF5Checker, inout HDF5Cursor, inout HDF5FractalHeap) throws(HDF5Refusal) -> Void
    ) throws(HDF5Refusal) {
        guard var body = message else { return }
        _ = try body.version(0...0)
        let flags = try body.number(1)
        _ = try body.take(flags & 1 != 0 ? orderSize : 0)
        let place = try body.optionalAddress()
        let tree = try body.optionalAddress()
        if let place {
            guard let tree else { throw .damaged("a heap has no tree that says what is in it") }
            var heap = try HDF5FractalHeap(at: place, identifierSize: identifierSize, in: &self)
            _ = try HDF5RecordTree(at: tree, kind: kind, recordSize: recordSize, in: &self) {
                checker, record throws(HDF5Refusal) in try visit(&checker, &record, &heap)
            }
        }
        if flags & 2 != 0 { _ = try body.optionalAddress() }
    }
}
