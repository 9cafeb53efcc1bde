internal import COpenBLAS

/// A row-major matrix in memory, perhaps a part of a wider one.
@unsafe struct Matrix {
    var pointer: UnsafeMutablePointer<Float>
    /// Values from one row's start to the next's.
    var stride: Int
    /// Whether the product reads it transposed.
    var transposed = false
}

extension CPUEngine {
    /// c(m, n) = op(a)(m, k) · op(b)(k, n), added to c when `accumulate`.
    func multiply(_ c: Matrix, _ a: Matrix, _ b: Matrix, m: Int, n: Int, k: Int, accumulate: Bool = false) {
        let (tileM, tileN) = Self.tile(m: m, n: n)
        let columns = (n + tileN - 1) / tileN
        pool.run(.matrixProduct, (m + tileM - 1) / tileM * columns) { task, _ in
            let i = task / columns * tileM
            let j = task % columns * tileN
            unsafe cob_sgemm(
                a.transposed ? 1 : 0, b.transposed ? 1 : 0, min(tileM, m - i), min(tileN, n - j), k, 1,
                a.pointer + (a.transposed ? i : i * a.stride), a.stride,
                b.pointer + (b.transposed ? j * b.stride : j), b.stride, accumulate ? 1 : 0,
                c.pointer + i * c.stride + j, c.stride)
        }
    }

    /// The size of the output tiles of a product.
    ///
    /// Tiles of 512 × 768 run at the rate of whole products (measured: 100 GFLOP/s, 94 with 256 × 384); a product
    /// that has fewer than four of them is split further, so that four threads find work.
    static func tile(m: Int, n: Int) -> (m: Int, n: Int) {
        var tile = (m: evenly(m, at: 512), n: evenly(n, at: 768))
        func count(_ size: Int, _ tile: Int) -> Int { (size + tile - 1) / tile }
        while count(m, tile.m) * count(n, tile.n) < 4, max(tile.m, tile.n) >= 128 {
            if tile.n >= tile.m {
                tile.n = evenly(tile.n, at: tile.n / 2)
            } else {
                tile.m = evenly(tile.m, at: tile.m / 2)
            }
        }
        return tile
    }

    /// The length of equal pieces of `count` that are about `most` long, a multiple of 16.
    private static func evenly(_ count: Int, at most: Int) -> Int {
        let pieces = max(1, (count + most - 1) / most)
        return ((count + pieces - 1) / pieces + 15) / 16 * 16
    }
}
