//! Vectors of an embedder, compared by brute force: below a million passages nothing is faster to keep right.

/// Rows of unit length, one a passage. A number of a row is a byte, in steps of the row's own: a quarter of the
/// memory, and no neighbour is another for it.
#[derive(Debug)]
pub struct Matrix {
    dimension: usize,
    values: Vec<i8>,
    /// What a step of each row is worth.
    steps: Vec<f32>,
}

/// Partial sums that do not wait for each other, so that the compiler makes vector instructions of them.
const LANES: usize = 32;

impl Matrix {
    /// An empty matrix for vectors of this many numbers.
    pub fn new(dimension: usize) -> Self {
        Self { dimension: dimension.max(1), values: Vec::new(), steps: Vec::new() }
    }

    /// Adds a row; one of another dimension becomes a row of zeros, which nothing is near to.
    pub fn push(&mut self, vector: &[f32]) {
        let row = Some(vector).filter(|vector| vector.len() == self.dimension).and_then(stepped);
        let (values, step) = row.unwrap_or_else(|| (vec![0; self.dimension], 0.0));
        self.values.extend(values);
        self.steps.push(step);
    }

    /// The rows nearest to `query` by angle, at most `limit`, nearest first.
    pub fn nearest(&self, query: &[f32], limit: usize) -> Vec<(usize, f32)> {
        if query.len() != self.dimension || limit == 0 {
            return Vec::new();
        }
        let Some((query, step)) = stepped(query) else { return Vec::new() };
        let rows = self.values.chunks_exact(self.dimension).zip(&self.steps);
        #[expect(clippy::cast_precision_loss, reason = "bytes of a few thousand numbers")]
        let angle = |(row, worth): (&[i8], &f32)| dot(row, &query) as f32 * worth * step;
        let near = rows.map(angle).enumerate().filter(|(_, near)| *near > 0.0);
        let mut near: Vec<(usize, f32)> = near.collect();
        let by_angle = |a: &(usize, f32), b: &(usize, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if limit < near.len() {
            near.select_nth_unstable_by(limit, by_angle);
            near.truncate(limit);
        }
        near.sort_unstable_by(by_angle);
        near
    }

    /// How many bytes it takes.
    pub fn bytes(&self) -> usize {
        self.values.len() + self.steps.len() * size_of::<f32>()
    }
}

fn dot(a: &[i8], b: &[i8]) -> i32 {
    let mut sums = [0_i32; LANES];
    let ((a_whole, a_rest), (b_whole, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let product = |(a, b): (&i8, &i8)| i32::from(*a) * i32::from(*b);
    let rest: i32 = a_rest.iter().zip(b_rest).map(product).sum();
    for (a, b) in a_whole.iter().zip(b_whole) {
        for lane in 0..LANES {
            sums[lane] += product((&a[lane], &b[lane]));
        }
    }
    sums.iter().sum::<i32>() + rest
}

/// A vector of unit length in steps, and what a step is worth; `None` for one without a direction.
fn stepped(vector: &[f32]) -> Option<(Vec<i8>, f32)> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    let most = vector.iter().map(|value| value.abs()).fold(0.0, f32::max);
    if !(length.is_finite() && length > 0.0 && most > 0.0) {
        return None;
    }
    let step = most / f32::from(i8::MAX);
    #[expect(clippy::cast_possible_truncation, reason = "at most 127 steps")]
    let values = vector.iter().map(|value| (value / step).round() as i8).collect();
    Some((values, step / length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_by_angle_come_first() {
        let mut matrix = Matrix::new(20);
        for at in 0..20 {
            let mut row = vec![0.0; 20];
            row[at] = 3.0;
            row[(at + 1) % 20] = 1.0;
            matrix.push(&row);
        }
        matrix.push(&[1.0; 3]);
        let mut query = vec![0.0; 20];
        query[5] = 0.1;
        let near: Vec<usize> = matrix.nearest(&query, 2).into_iter().map(|(row, _)| row).collect();
        assert_eq!(near, [5, 4]);
        assert!(matrix.nearest(&[1.0], 2).is_empty());
        assert!(matrix.nearest(&[f32::NAN; 20], 2).is_empty());
    }
}
