# Reference values for Cox regression. Run in this folder: Rscript cox.R
# rossi.csv is Rossi, Berk and Lenihan (1980) as shipped with lifelines; the other data come from survival_data.R.
suppressMessages({library(survival); library(sandwich)})

rows <- list()
emit <- function(model, quantity, term, value) {
  rows[[length(rows) + 1]] <<- data.frame(model = model, quantity = quantity, term = as.character(term),
                                          value = sprintf("%.17g", value))
}
tight <- coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 50)

coefficients <- function(name, fit) {
  terms <- names(coef(fit))
  emit(name, "estimate", terms, coef(fit))
  emit(name, "naive", terms, sqrt(diag(if (is.null(fit$naive.var)) fit$var else fit$naive.var)))
  if (!is.null(fit$naive.var)) emit(name, "robust", terms, sqrt(diag(fit$var)))
  emit(name, "log_likelihood", c("null", "fit"), fit$loglik)
}
zph <- function(name, fit, transforms = c("km", "identity", "rank", "log")) {
  y <- fit$y
  events <- y[y[, ncol(y)] == 1, ncol(y) - 1]
  # cox.zph's own "rank" ranks censored times too, so that cutting an episode changes the test; rank events only.
  among_events <- function(t) vapply(t, function(u) (sum(events < u) + sum(events <= u) + 1) / 2, 0)
  for (transform in transforms) {
    table <- cox.zph(fit, transform = if (transform == "rank") among_events else transform, terms = FALSE)$table
    emit(name, paste0("zph_", transform), rownames(table), table[, "chisq"])
  }
}
residual <- function(name, fit, types, first = 12) {
  for (type in types) {
    value <- as.matrix(residuals(fit, type = type))
    value <- value[seq_len(min(first, nrow(value))), , drop = FALSE]
    for (j in seq_len(ncol(value)))
      emit(name, paste0("residual_", type), paste(names(coef(fit))[j], seq_len(nrow(value)), sep = "@"), value[, j])
  }
}
predicted <- function(name, fit, newdata, times, case = seq_len(nrow(newdata))) {
  for (i in case) {
    s <- summary(survfit(fit, newdata = newdata[i, , drop = FALSE], se.fit = TRUE), times = times)
    emit(name, "survival", paste(i, times, sep = "@"), s$surv)
    emit(name, "survival_error", paste(i, times, sep = "@"), s$std.err)
    emit(name, "cumulative_hazard", paste(i, times, sep = "@"), s$cumhaz)
  }
}
index <- function(name, fit) {
  c <- concordance(fit)
  emit(name, "concordance", c("estimate", "std_error"), c(c$concordance, sqrt(c$var)))
  counts <- if (is.matrix(c$count)) colSums(c$count) else c$count
  emit(name, "concordance_count", names(counts), counts)
}

heart <- read.csv("heart.csv")
for (ties in c("efron", "breslow")) {
  f <- coxph(Surv(start, stop, event) ~ age + year + surgery + transplant, heart, cluster = id, ties = ties,
             control = tight)
  name <- paste0("heart_", ties)
  coefficients(name, f)
  plain <- coxph(Surv(start, stop, event) ~ age + year + surgery + transplant, heart, ties = ties, control = tight)
  zph(name, plain)
  residual(name, plain, c("martingale", "deviance", "score", "dfbeta", "schoenfeld"))
  predicted(name, plain, data.frame(age = c(-5, 8), year = c(1, 4), surgery = c(0, 1), transplant = c(0, 1)),
            c(10, 100, 500))
  index(name, plain)
}
two <- vcovCL(plain, cluster = cbind(heart$id, floor(heart$year)), type = "HC0", cadjust = FALSE, multi0 = FALSE)
emit("heart_two_way", "robust", names(coef(plain)), sqrt(diag(two)))
one <- vcovCL(plain, cluster = heart$id)
emit("heart_vcovCL", "robust", names(coef(plain)), sqrt(diag(one)))

rossi <- read.csv("rossi.csv")
rossi$w <- 0.5 + rossi$prio %% 4 / 2
for (ties in c("efron", "breslow")) {
  name <- paste0("rossi_", ties)
  f <- coxph(Surv(week, arrest) ~ fin + age + race + wexp + mar + paro + prio, rossi, ties = ties, control = tight)
  coefficients(name, f)
  zph(name, f)
  index(name, f)
  s <- coxph(Surv(week, arrest) ~ fin + age + prio + strata(race, wexp), rossi, weights = w, cluster = age, ties = ties,
             control = tight)
  name <- paste0("rossi_strata_weights_", ties)
  coefficients(name, s)
  s <- coxph(Surv(week, arrest) ~ fin + age + prio + strata(race, wexp), rossi, weights = w, robust = FALSE,
             ties = ties, control = tight)
  zph(name, s)
  residual(name, s, c("martingale", "score", "dfbeta", "schoenfeld"))
  index(name, s)
}

pbc <- read.csv("pbcseq.csv")
pbc$w <- 0.5 + pbc$id %% 4 / 2
for (ties in c("efron", "breslow")) {
  f <- coxph(Surv(day, stop, death) ~ log(bili) + age + edema + albumin + log(protime) + strata(sex), pbc,
             weights = w, cluster = id, ties = ties, control = tight)
  name <- paste0("pbcseq_", ties)
  coefficients(name, f)
  f <- coxph(Surv(day, stop, death) ~ log(bili) + age + edema + albumin + log(protime) + strata(sex), pbc,
             weights = w, robust = FALSE, ties = ties, control = tight)
  zph(name, f, c("km", "identity"))
  residual(name, f, c("martingale", "dfbeta"), 20)
}

# Appendix E of Therneau and Grambsch (2000): tiny data with every quantity worked by hand, here with weights too.
toy1 <- data.frame(time = c(1, 1, 6, 6, 8, 9, NA), status = c(1, 0, 1, 1, 0, 1, NA), x = c(1, 1, 1, 0, 0, 0, NA))[1:6, ]
toy2 <- data.frame(start = c(1, 2, 5, 2, 1, 7, 3, 4, 8, 8), stop = c(2, 3, 6, 7, 8, 9, 9, 9, 14, 17),
                   event = c(1, 1, 1, 1, 1, 1, 1, 0, 0, 0), x = c(1, 0, 0, 1, 0, 1, 1, 1, 0, 0))
toy3 <- data.frame(time = c(1, 1, 2, 2, 2, 2, 3, 4, 5), status = c(1, 0, 1, 1, 1, 0, 0, 1, 0),
                   x = c(2, 0, 1, 1, 0, 1, 0, 1, 0), w = c(1, 2, 3, 4, 3, 2, 1, 2, 1))
for (ties in c("efron", "breslow")) {
  f1 <- coxph(Surv(time, status) ~ x, toy1, ties = ties, control = tight)
  f2 <- coxph(Surv(start, stop, event) ~ x, toy2, ties = ties, control = tight)
  f3 <- coxph(Surv(time, status) ~ x, toy3, weights = w, ties = ties, control = tight)
  for (f in list(list("toy1_", f1), list("toy2_", f2), list("toy3_", f3))) {
    name <- paste0(f[[1]], ties)
    coefficients(name, f[[2]])
    residual(name, f[[2]], c("martingale", "score", "schoenfeld"))
  }
}

emit(paste("R", getRversion(), "survival", packageVersion("survival"), "sandwich", packageVersion("sandwich")),
     "version", "", 0)
write.csv(do.call(rbind, rows), "cox.csv", row.names = FALSE, quote = TRUE)
